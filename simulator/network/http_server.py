"""Serves a WSGI application on a listening socket, from daemon threads."""

from __future__ import annotations

import logging
import socket
import threading
from typing import TYPE_CHECKING, Final

from werkzeug.serving import BaseWSGIServer, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

POLL_S: Final = 0.1
"""How soon the server notices ``shutdown``."""


def serve(listener: socket.socket, app: WSGIApplication, name: str) -> BaseWSGIServer:
    """Serve ``app`` in a thread called ``name``, until ``shutdown`` of the returned server."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # no line for each request
    host, port = listener.getsockname()[:2]
    server = make_server(host, port, app, threaded=True, fd=listener.fileno())
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), name=name, daemon=True)
    thread.start()
    return server
