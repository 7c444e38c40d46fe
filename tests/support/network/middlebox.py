"""An HTTP proxy that relays GET requests and refuses WebSocket upgrades with 502."""

from __future__ import annotations

import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self

HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade"})
TIMEOUT_S: Final = 30


class Middlebox:
    """A proxy for a local port; counts refused upgrades and records relayed paths."""

    def __init__(self, port: int) -> None:
        self.refuses = True
        self.refused = 0
        self.passed: list[str] = []
        box = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if "upgrade" in self.headers.get("Connection", "").lower():
                    box.refused += 1
                    self.send_error(502, "no WebSockets here")
                    return
                box.passed.append(self.path)
                far = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
                try:
                    far.request("GET", self.path, headers={"Authorization": ""})
                    answer = far.getresponse()
                    body = answer.read()
                finally:
                    far.close()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in HOP_BY_HOP | {"content-length"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
