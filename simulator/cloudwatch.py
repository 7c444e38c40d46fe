"""The CloudWatch Logs stand-in: a moto server in a process of its own.

``python -m simulator.cloudwatch --port 0`` prints one JSON line once it answers:
``{"ready": true, "cloudwatch": "http://127.0.0.1:PORT"}``.

Mode ``moto`` serves moto as it is installed. Mode ``faithful`` puts a layer in front of it that

- hides events that are not visible yet (``/simulator/visibility`` on the same server sets the
  delay), as CloudWatch Logs shows events seconds or minutes after it accepted them;
- lets one request through at a time: moto's ``put_log_events`` is not thread safe, and reading a
  log group while a stream is added to it fails in moto.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec

from simulator.errors import SimulatorError
from simulator.lifeline import when_released
from simulator.visibility import Regime, Visibility

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Mode = Literal["faithful", "moto"]

HOST: Final = "127.0.0.1"
VISIBILITY_PATH: Final = "/simulator/visibility"
REGION: Final = "us-east-1"
PORT_MAX: Final = 65_535

_TARGET: Final = "Logs_20140328."
_READS: Final = frozenset({"FilterLogEvents", "GetLogEvents"})
_LEVER_BYTES_MAX: Final = 4_096


class NewRegime(msgspec.Struct):
    """The body of a ``POST`` to ``/simulator/visibility``."""

    name: str
    delay_ms: int
    jitter_ms: int
    toxicity: float
    seed: int


class Healing(msgspec.Struct):
    """The body of a ``DELETE`` to ``/simulator/visibility``."""

    name: str


class FaithfulLogs:
    """WSGI: what moto answers, less the events that are not visible yet."""

    def __init__(self, app: WSGIApplication, now_ms: Callable[[], int]) -> None:
        """``app`` is moto's; ``now_ms`` must be the clock that it stamps events with."""
        self._app = app
        self._now_ms = now_ms
        self._visibility = Visibility()
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        from werkzeug.wrappers import Response  # noqa: PLC0415 - see serve

        if environ.get("PATH_INFO") == VISIBILITY_PATH:
            status, answer = self._pull_lever(environ)
            body = json.dumps(answer) + "\n"
            return Response(body, status, mimetype="application/json")(environ, start_response)
        action = environ.get("HTTP_X_AMZ_TARGET", "").removeprefix(_TARGET)
        with self._lock:
            now_ms = self._now_ms()
            if action not in _READS or not self._visibility.may_hide(now_ms):
                response = Response.from_app(self._app, environ, buffered=True)
            else:
                request = _peek_body(environ)
                response = Response.from_app(self._app, environ, buffered=True)
                if response.status_code == 200:  # noqa: PLR2004 - OK
                    response.set_data(self._visible_part(response.get_data(), request, now_ms))
        return response(environ, start_response)

    def _visible_part(self, answer: bytes, request: bytes, now_ms: int) -> bytes:
        # Not msgspec: moto escapes lone surrogates, which msgspec refuses.
        page: dict[str, Any] = json.loads(answer)
        stream = json.loads(request).get("logStreamName", "")
        page["events"] = [
            event
            for event in page["events"]
            if self._visibility.visible_ms(
                event.get("logStreamName", stream),
                event["timestamp"],
                event["message"],
                event["ingestionTime"],
            )
            <= now_ms
        ]
        return json.dumps(page).encode()

    def _pull_lever(self, environ: WSGIEnvironment) -> tuple[int, dict[str, Any]]:
        """POST imposes a regime from the next millisecond on, DELETE heals those of a name."""
        method = environ["REQUEST_METHOD"]
        body = environ["wsgi.input"].read(
            min(int(environ.get("CONTENT_LENGTH") or 0), _LEVER_BYTES_MAX)
        )
        try:
            with self._lock:
                now_ms = self._now_ms()
                if method == "POST":
                    new = msgspec.json.decode(body, type=NewRegime)
                    # What was ingested in this millisecond may have been seen already.
                    regime = Regime(**msgspec.structs.asdict(new), begin_ms=now_ms + 1)
                    self._visibility.impose(regime)
                    return 200, msgspec.to_builtins(regime)
                if method == "DELETE":
                    self._visibility.heal(msgspec.json.decode(body, type=Healing).name, now_ms)
                    return 200, {"now_ms": now_ms}
        except (msgspec.DecodeError, SimulatorError) as error:
            return 400, {"error": str(error)}
        return 405, {"error": "POST or DELETE"}


def _peek_body(environ: WSGIEnvironment) -> bytes:
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def wall_clock_ms() -> int:
    """Milliseconds since the Unix epoch, cut off as moto does it."""
    return time.time_ns() // 1_000_000


def build_app(mode: Mode) -> WSGIApplication:
    """Moto's application, alone or behind ``FaithfulLogs``; takes half a second to import."""
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - see above
        DomainDispatcherApplication,
        create_backend_app,
    )

    moto: WSGIApplication = DomainDispatcherApplication(create_backend_app)
    return FaithfulLogs(moto, wall_clock_ms) if mode == "faithful" else moto


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


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT or the lifeline's end; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m simulator.cloudwatch")
    parser.add_argument("--port", type=int, default=0, help="0 = any that is free")
    parser.add_argument("--listener-fd", type=int, help="a listening socket to serve instead")
    parser.add_argument("--mode", choices=get_args(Mode), default="faithful")
    parser.add_argument("--group", help="a log group to make before anything is served")
    parser.add_argument("--region", default=REGION, help="the Region of that log group")
    parser.add_argument("--while-held", type=Path, help="end when nobody holds a lock on it")
    options = parser.parse_args(argv)
    ending = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        if options.while_held is not None:
            when_released(options.while_held, lambda: os.kill(os.getpid(), signal.SIGTERM))
        if options.listener_fd is None:
            listener = listen(options.port)
        else:
            listener = socket.socket(fileno=options.listener_fd)
        app = build_app(options.mode)
        if options.group is not None:
            call(app, "CreateLogGroup", {"logGroupName": options.group}, options.region)
        serve(listener, app)
    except SimulatorError as error:
        print(f"gapless: {error}", file=sys.stderr)  # noqa: T201 - for a person
        return 1
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    print(json.dumps({"ready": True, "cloudwatch": url}), flush=True)  # noqa: T201 - ready line
    signal.sigwait(ending)
    return 0


if __name__ == "__main__":
    # At once: there is nothing to save, and taking moto apart takes a quarter of a second.
    os._exit(main())
