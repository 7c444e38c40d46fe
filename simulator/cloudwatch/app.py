"""The WSGI application that answers CloudWatch Logs calls in front of moto, and its server."""

from __future__ import annotations

import io
import json
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.logs.exceptions import LogsClientError
from moto.logs.models import logs_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from simulator.cloudwatch import LEVERS_PATH, REGION, destinations, moto_logs
from simulator.cloudwatch.delivery import Delivery
from simulator.cloudwatch.levers import ORDER_BYTES_MAX, Answer, Call, Lever, Rack, refusal
from simulator.cloudwatch.logs import Logs
from simulator.cloudwatch.parameters import AwsRefusal, check, matcher
from simulator.cloudwatch.putting import Writing
from simulator.cloudwatch.reading import Reading
from simulator.errors import SimulatorError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


REQUEST_BYTES_MAX: Final = 64 * 1024 * 1024
"""A PutLogEvents batch of a megabyte takes at most 6 MB in JSON, with every byte escaped."""

_TARGETS: Final = {"Logs_20140328": "logs", "Kinesis_20131202": "kinesis"}
_REGION: Final = re.compile(r"Credential=[^/]*/[^/]*/([^/]+)/")
_OTHER_ACCOUNT: Final = "HTTP_X_MOTO_ACCOUNT_ID"


def build_moto() -> WSGIApplication:
    """Build moto's own WSGI application for all AWS services."""
    return DomainDispatcherApplication(create_backend_app)


class FaithfulLogs:
    """WSGI application: requests to the levers, and AWS calls passed through the engaged levers.

    Frequent calls are answered here. All others go to moto one at a time, because moto is not
    thread-safe. Moto stays patched until ``close``.
    """

    def __init__(
        self, app: WSGIApplication, types: Mapping[str, type[Lever]], now_ms: Callable[[], int]
    ) -> None:
        """``app`` is moto's application; ``types`` maps a fault's type to its lever."""
        self._app = app
        self._now_ms = now_ms
        self.logs = Logs(now_ms)
        self.rack = Rack(self.logs, types, now_ms)
        send = partial(destinations.send, logs=self.logs)
        self.delivery = Delivery(send, self.rack.deliver, self.logs.ids, now_ms)
        self._uninstall = moto_logs.install(self.logs, self.delivery)
        reading = Reading(self.logs, self.rack, moto_logs.find_store, moto_logs.list_linked)
        writing = Writing(self.logs, self.delivery, moto_logs.find_store)
        self._own: dict[str, Callable[[Call], dict[str, Any]]] = {
            "FilterLogEvents": reading.filter_log_events,
            "GetLogEvents": reading.get_log_events,
            "DescribeLogStreams": reading.describe_log_streams,
            "DescribeLogGroups": reading.describe_linked_groups,
            "PutLogEvents": writing.put_log_events,
            "PutSubscriptionFilter": self._put_subscription_filter,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one HTTP request; a WSGI application is a callable."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length > REQUEST_BYTES_MAX:
            answer = refusal("RequestEntityTooLargeException", "The request is too large.", 413)
            return _send(answer, environ, start_response)
        if environ.get("PATH_INFO") == LEVERS_PATH:
            body = environ["wsgi.input"].read(min(length, ORDER_BYTES_MAX))
            answer = self.rack.respond(environ["REQUEST_METHOD"], body)
            return _send(answer, environ, start_response)
        target, _, action = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")
        service = _TARGETS.get(target)
        if service is None:
            with self.logs.lock:
                return self._app(environ, start_response)
        found = _REGION.search(environ.get("HTTP_AUTHORIZATION", ""))
        region = REGION if found is None else found[1]
        body = environ["wsgi.input"].read(length)
        call = Call(service, action, region, body, self._now_ms())
        answer = self.rack.call(call, partial(self._answer, environ=environ))
        return _send(answer, environ, start_response)

    def close(self) -> None:
        """Stop deliveries and undo the patches of moto."""
        self.delivery.close()
        self._uninstall()

    def _answer(self, call: Call, environ: WSGIEnvironment) -> Answer:
        own = self._own.get(call.action) if call.service == "logs" else None
        if call.action == "DescribeLogGroups" and not call.parameters.get("includeLinkedAccounts"):
            own = None
        if own is None or _OTHER_ACCOUNT in environ:
            return self._ask_moto(call, environ)
        try:
            check(call.action, call.parameters)
            return Answer(200, _encode(own(call)))
        except AwsRefusal as error:
            return refusal(error.code, error.message)
        except ValueError as error:
            return refusal("SerializationException", str(error))

    def _ask_moto(self, call: Call, environ: WSGIEnvironment) -> Answer:
        environ["wsgi.input"] = io.BytesIO(call.body)
        with self.logs.lock:
            response = Response.from_app(self._app, environ, buffered=True)
        return Answer(
            response.status_code, response.get_data(), response.content_type or "text/plain"
        )

    def _put_subscription_filter(self, call: Call) -> dict[str, Any]:
        asked = call.parameters
        matcher(asked["filterPattern"])
        group = asked["logGroupName"]
        with self.logs.lock:
            try:
                logs_backends[DEFAULT_ACCOUNT_ID][call.region].put_subscription_filter(
                    group,
                    asked["filterName"],
                    asked["filterPattern"],
                    asked["destinationArn"],
                    asked.get("roleArn", ""),
                )
            except LogsClientError as error:
                raise AwsRefusal(error.error_type, error.message) from error
            found = moto_logs.find_group(call.region, group)
            if found is not None:
                found.set_distribution(
                    asked["filterName"], asked.get("distribution", "ByLogStream")
                )
        return {}


def _encode(answer: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(answer)
    except UnicodeEncodeError:
        return json.dumps(answer).encode()  # escapes lone surrogates, which UTF-8 cannot encode


def _send(
    answer: Answer, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    if answer.is_dropped:
        _reset(environ)
    response = Response(answer.body, answer.status, content_type=answer.content_type)
    if answer.content_length is not None:
        # The server closes the connection after every response, so the caller sees a truncated one.
        response.automatically_set_content_length = False
        response.headers["Content-Length"] = str(answer.content_length)
    return response(environ, start_response)


def _reset(environ: WSGIEnvironment) -> None:
    """Drop the connection without a response.

    Raises:
        ConnectionAbortedError: Always; the server treats it as a client that left.
    """
    raw: socket.socket | None = environ.get("werkzeug.socket")
    if raw is not None:
        raw.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError


_TARGET: Final = "Logs_20140328."


def call(app: WSGIApplication, action: str, parameters: dict[str, Any], region: str) -> None:
    """Make one Logs API call without a socket; this also builds moto's application for logs.

    Raises:
        SimulatorError: The call was refused.
    """
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
