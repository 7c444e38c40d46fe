"""WSGI: CloudWatch Logs in front of moto."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from werkzeug.wrappers import Response

from simulator.cloudwatch import LEVERS_PATH
from simulator.cloudwatch.levers import Answer, Call, Lever
from simulator.cloudwatch.logs import Logs
from simulator.cloudwatch.rack import ORDER_BYTES_MAX, Rack

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_TARGETS: Final = {"Logs_20140328": "logs", "Kinesis_20131202": "kinesis"}


def faithful(moto: WSGIApplication, now_ms: Callable[[], int]) -> FaithfulLogs:
    """Moto with a faithful CloudWatch Logs, and every lever that a fault names."""
    from simulator.faults import FAULTS  # noqa: PLC0415 - they import this package's levers
    from simulator.faults.base import LeverFault  # noqa: PLC0415

    types = {one.type: one.lever for one in FAULTS.values() if issubclass(one, LeverFault)}
    return FaithfulLogs(moto, types, now_ms)


class FaithfulLogs:
    """WSGI: the levers' requests, AWS calls through the engaged levers."""

    def __init__(
        self, app: WSGIApplication, types: Mapping[str, type[Lever]], now_ms: Callable[[], int]
    ) -> None:
        """``app`` is moto's; ``now_ms`` must be the clock that it stamps events with."""
        self._app = app
        self._now_ms = now_ms
        self.logs = Logs()
        self.rack = Rack(self.logs, types, now_ms)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if environ.get("PATH_INFO") == LEVERS_PATH:
            body = environ["wsgi.input"].read(min(length, ORDER_BYTES_MAX))
            answer = self.rack.respond(environ["REQUEST_METHOD"], body)
            return _send(answer, environ, start_response)
        target, _, action = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")
        body = environ["wsgi.input"].read(length)
        call = Call(_TARGETS.get(target, ""), action, "", body, self._now_ms())
        return _send(
            self.rack.call(call, lambda one: self._ask_moto(one, environ)),
            environ,
            start_response,
        )

    def _ask_moto(self, call: Call, environ: WSGIEnvironment) -> Answer:
        # moto's put_log_events is not thread safe, and reading a log group while a stream is
        # added to it fails in moto.
        with self.logs.lock:
            environ["wsgi.input"] = io.BytesIO(call.body)
            response = Response.from_app(self._app, environ, buffered=True)
        body = response.get_data()
        now_ms = self._now_ms()
        if call.is_read and response.status_code == 200:  # noqa: PLR2004 - OK
            body = self._visible_part(body, call, now_ms)
        return Answer(response.status_code, body, response.content_type or "")

    def _visible_part(self, answer: bytes, call: Call, now_ms: int) -> bytes:
        page: dict[str, Any] = json.loads(answer)
        stream = call.parameters.get("logStreamName", "")
        page["events"] = [
            event
            for event in page["events"]
            if self.logs.visibility.visible_ms(
                event.get("logStreamName", stream),
                event["timestamp"],
                event["message"],
                event["ingestionTime"],
            )
            <= now_ms
        ]
        return json.dumps(page).encode()


def _send(
    answer: Answer, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    if answer.is_dropped:
        _reset(environ)
    response = Response(answer.body, answer.status, content_type=answer.content_type)
    if answer.content_length is not None:
        # The server closes the connection after every answer, so that the caller sees it cut.
        response.automatically_set_content_length = False
        response.headers["Content-Length"] = str(answer.content_length)
    return response(environ, start_response)


def _reset(environ: WSGIEnvironment) -> None:
    """Leave the caller without an answer.

    Raises:
        ConnectionAbortedError: always; the server takes it for a caller that left.

    """
    raw = environ.get("werkzeug.socket")
    if raw is not None:
        raw.shutdown(2)
    raise ConnectionAbortedError
