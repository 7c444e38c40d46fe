"""An HTTP server with scripted replies of CloudWatch Logs, correct or broken.

It records the requests and runs in a thread of the test's process.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

Asked = dict[str, Any]
"""The parameters of a request, with the name of the operation under ``operation``."""


class Reply(msgspec.Struct, frozen=True):
    """The reply to one request."""

    status: int = 200
    body: bytes = b'{"events":[]}'
    missing: int = 0
    """Bytes announced but never sent: the connection closes in the middle of the body."""
    closes: bool = False
    """Close the connection without a reply."""
    hold: threading.Event | None = None
    """Wait for this event before replying."""
    date: str = ""
    """The ``Date`` header; empty: the time of the reply."""


def page(events: list[tuple[int, int, str]], token: str | None = None) -> Reply:
    """A page of FilterLogEvents from (id, timestamp, stream); messages are "m" and the id."""
    listed = [
        {
            "eventId": str(number),
            "timestamp": timestamp,
            "ingestionTime": timestamp + 5,
            "logStreamName": stream,
            "message": f"m{number}",
        }
        for number, timestamp, stream in events
    ]
    reply: dict[str, Any] = {"events": listed, "searchedLogStreams": []}
    if token is not None:
        reply["nextToken"] = token
    return Reply(body=json.dumps(reply).encode())


def refusal(code: str, message: str = "no", status: int = 400) -> Reply:
    """An error reply of AWS."""
    return Reply(status=status, body=json.dumps({"__type": code, "message": message}).encode())


class ScriptedCloudWatch:
    """Replies with the scripted replies in order, then with those of ``default``."""

    def __init__(self, url: str, default: Callable[[Asked], Reply]) -> None:
        self.url = url
        self.default = default
        self.asked: list[Asked] = []
        self.access_keys: list[str] = []
        """Access key of each request."""
        self.caller = threading.local()
        """``access_key`` of the request that this thread answers: others come meanwhile."""
        self._script: deque[Reply] = deque()
        self._lock = threading.Lock()

    def script(self, *replies: Reply) -> None:
        """Add replies."""
        with self._lock:
            self._script.extend(replies)

    def answer(self, asked: Asked) -> Reply:
        """The reply to a request."""
        with self._lock:
            self.asked.append(asked)
            if self._script:
                return self._script.popleft()
        return self.default(asked)


@contextmanager
def scripted_cloudwatch(
    default: Callable[[Asked], Reply] | None = None,
) -> Iterator[ScriptedCloudWatch]:
    """Run a server on a free port of 127.0.0.1."""
    scripted: ScriptedCloudWatch

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            asked = json.loads(self.rfile.read(length))
            asked["operation"] = self.headers["X-Amz-Target"].rpartition(".")[2]
            signed = self.headers.get("Authorization", "")
            scripted.caller.access_key = signed.partition("Credential=")[2].partition("/")[0]
            scripted.access_keys.append(scripted.caller.access_key)
            reply = scripted.answer(asked)
            if reply.hold is not None:
                reply.hold.wait(240)
            self.close_connection = True
            if reply.closes:
                return
            self.send_response_only(reply.status)
            self.send_header("Date", reply.date or self.date_time_string())
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(reply.body) + reply.missing))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Ignore clients that disconnected."""

    server = Server(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    scripted = ScriptedCloudWatch(url, default or (lambda _: Reply()))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield scripted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
