"""Serves a WSGI application on a listening socket, from daemon threads."""

from __future__ import annotations

import io
import json
import logging
import selectors
import socket
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

POLL_S: Final = 0.1
"""How soon the server notices ``shutdown``."""

REQUEST_S: Final = 30.0
"""Longest pause within a request: a client that stops in the middle would hold a thread forever."""


class _Incoming(socket.SocketIO):
    """The received bytes of a connection; reading waits for more for ``REQUEST_S`` at most.

    A timeout of the socket would also cut clients that pause while they read a response.
    """

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection, "rb")
        self._ready = selectors.DefaultSelector()
        self._ready.register(connection, selectors.EVENT_READ)

    def readinto(self, b: Any) -> int | None:  # noqa: ANN401 - the type of a buffer
        """Read what has arrived.

        Raises:
            TimeoutError: nothing did in time.
        """
        if not self._ready.select(REQUEST_S):
            msg = f"the request did not go on for {REQUEST_S:.0f} s"
            raise TimeoutError(msg)
        return super().readinto(b)

    def close(self) -> None:
        """Release the descriptor of the wait, too."""
        if not self.closed:
            self._ready.close()
        super().close()


class JsonRequestHandler(WSGIRequestHandler):
    """Refuses, as JSON, requests that are no HTTP; drops clients that stop in mid-request."""

    def setup(self) -> None:
        """Read with a limit of time."""
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Incoming(self.connection))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send a refusal, as the application's are: ``{"error": "..."}``."""
        del explain
        body = json.dumps({"error": message or HTTPStatus(code).phrase}).encode() + b"\n"
        self.close_connection = True
        if self.request_version == "HTTP/0.9":  # What could not be parsed counts as that.
            self.request_version = "HTTP/1.1"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002, ANN401 - the library's
        """Print nothing: the client has the response to its bad request."""


def serve(
    listener: socket.socket,
    app: WSGIApplication,
    name: str,
    handler: type[WSGIRequestHandler] | None = None,
) -> BaseWSGIServer:
    """Serve ``app`` in a thread called ``name``, until ``shutdown`` of the returned server."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # no line for each request
    host, port = listener.getsockname()[:2]
    server = make_server(
        host, port, app, threaded=True, fd=listener.fileno(), request_handler=handler
    )
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), name=name, daemon=True)
    thread.start()
    return server
