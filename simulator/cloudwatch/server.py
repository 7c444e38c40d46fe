"""The server: a socket of 127.0.0.1, and what answers behind it."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING, Any, Final

from simulator.cloudwatch import HOST, Mode, wall_clock_ms
from simulator.errors import SimulatorError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

PORT_MAX: Final = 65_535

_TARGET: Final = "Logs_20140328."


def build_app(mode: Mode) -> WSGIApplication:
    """Moto's application, alone or made faithful; takes half a second to import."""
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - see above
        DomainDispatcherApplication,
        create_backend_app,
    )

    moto: WSGIApplication = DomainDispatcherApplication(create_backend_app)
    if mode == "moto":
        return moto
    from simulator.cloudwatch.app import faithful  # noqa: PLC0415 - it imports more of moto

    return faithful(moto, wall_clock_ms)


def call(app: WSGIApplication, action: str, parameters: dict[str, Any], region: str) -> None:
    """One call of the Logs API without a socket; builds moto's application for logs.

    Raises:
        SimulatorError: it was refused.

    """
    from werkzeug.test import EnvironBuilder  # noqa: PLC0415 - see serve
    from werkzeug.wrappers import Response  # noqa: PLC0415

    scope = f"AWS4-HMAC-SHA256 Credential=simulator/20260101/{region}/logs/aws4_request"
    environ = EnvironBuilder(
        path="/",
        base_url=f"http://logs.{region}.amazonaws.com",
        method="POST",
        data=json.dumps(parameters),
        content_type="application/x-amz-json-1.1",
        headers=[("Authorization", scope), ("X-Amz-Target", _TARGET + action)],
    ).get_environ()
    response = Response.from_app(app, environ, buffered=True)
    if response.status_code != 200:  # noqa: PLR2004 - OK
        msg = f"{action} was refused: {response.get_data(as_text=True)[:200]}"
        raise SimulatorError(msg)


def listen(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; 0 = any free port.

    Raises:
        SimulatorError: the port is in use or not allowed.

    """
    if not 0 <= port <= PORT_MAX:
        msg = f"there is no port {port}; choose one up to {PORT_MAX}, or 0 for any that is free"
        raise SimulatorError(msg)
    try:
        return socket.create_server((HOST, port), backlog=128)
    except OSError as error:
        msg = f"port {port} can't be had ({error}); choose another, or 0 for any that is free"
        raise SimulatorError(msg) from error


def serve(listener: socket.socket, app: WSGIApplication) -> None:
    """Answer requests in daemon threads, for as long as the process lives."""
    # Imported here, so that the simulator's own process can use the rest of this module.
    from moto.moto_server.werkzeug_app import MotoRequestHandler  # noqa: PLC0415
    from werkzeug.serving import make_server  # noqa: PLC0415

    class Handler(MotoRequestHandler):
        """Moto's, which says nothing of requests that went well."""

        def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's
            if type == "error":
                super().log(type, message, *args)

    port = listener.getsockname()[1]
    server = make_server(
        HOST, port, app, threaded=True, request_handler=Handler, fd=listener.fileno()
    )
    threading.Thread(target=server.serve_forever, name="moto", daemon=True).start()
