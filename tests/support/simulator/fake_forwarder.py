"""A stand-in for the forwarder program, for tests of the simulator.

Usage: ``fake_forwarder.py URL``. Prints a ready line with that URL and a port, echoes every line
sent to the port, and exits on SIGTERM.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socketserver
import sys
import threading


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the cable is pulled on purpose
            for line in self.rfile:
                self.wfile.write(line)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def main() -> None:
    ending = {signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_address[1]}"
    ready = {
        "ready": True,
        "websocket": f"ws://{address}/v1/tail",
        "http": f"http://{address}",
        "epoch": "an-epoch",
        "endpoint": sys.argv[1],
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    signal.sigwait(ending)


if __name__ == "__main__":
    main()
