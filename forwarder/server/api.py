"""The HTTP API: makes every response, and decides which viewers may connect. Pure.

There is no socket, and the time is an argument. A response is made by a generator that yields now
and then, so that a page of ten thousand events does not delay other connections. It yields a
``BodyRequest`` where bodies must be fetched again before it can go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

import msgspec

from forwarder.cloudwatch.clock import ClockSkew
from forwarder.delivery.hub import Hub
from forwarder.errors import RequestError
from forwarder.live.receiver import LiveStatus
from forwarder.records import TokenVerdict
from forwarder.server import metrics
from forwarder.server.admission import RefusalReason
from forwarder.server.log_pages import BodyRequest, LogsPageBuilder
from forwarder.server.tokens import BearerTokens
from wire.codec import encode
from wire.digest import digest_hex
from wire.errors import WireError
from wire.messages import DigestBody, HttpError
from wire.query import DigestQuery, TailQuery, parse_digest, parse_feed, parse_logs, parse_tail

ALIVE_PATH: Final = "/healthz"
LOGS_PATH: Final = "/v1/logs"
TAIL_PATH: Final = "/v1/tail"
JSON: Final = "application/json"


class ApiResponse(msgspec.Struct):
    """An HTTP response: status, body, and headers beyond the usual ones."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = {}


class AcceptedViewer(msgspec.Struct):
    """A viewer that may connect."""

    hub: Hub
    query: TailQuery
    token_verdict: Callable[[], TokenVerdict]
    """Returns the present verdict on its token, without revealing the token."""


ResponseSteps = Generator[BodyRequest | None, None, ApiResponse]
"""The steps of making a response, which is the generator's return value."""


class Api:
    """The HTTP API for the log groups of one forwarder.

    Attributes:
        responses: Responses by status, for the metrics.
    """

    def __init__(
        self,
        hubs: Mapping[str, Hub],
        tokens: BearerTokens | None = None,
        *,
        refused: Mapping[RefusalReason, int] | None = None,
        calls: Counter[str] | None = None,
        skew: ClockSkew | None = None,
    ) -> None:
        """Serve the log groups of ``hubs``.

        Args:
            hubs: Served log groups by name.
            tokens: Accepted bearer tokens; None: no token is needed.
            refused: Refusals by reason, for the metrics.
            calls: CloudWatch calls by outcome, for the metrics.
            skew: Difference between this machine's clock and CloudWatch's; None: not measured.
        """
        self._hubs = hubs
        self._tokens = tokens
        self._refused = {} if refused is None else refused
        self._calls: Counter[str] = Counter() if calls is None else calls
        self._skew = skew
        self.responses: Counter[int] = Counter()
        self._open_routes: dict[str, Callable[[], ApiResponse]] = {
            ALIVE_PATH: lambda: ApiResponse(HTTPStatus.OK, b'{"alive":true}'),
            "/readyz": self._readyz,
        }
        self._routes: dict[str, Callable[[str, str | None, int], ResponseSteps]] = {
            LOGS_PATH: self._logs,
            "/v1/digest": self._digest,
            "/v1/executions": self._executions,
            "/v1/groups": self._groups,
            "/v1/viewers": self._viewers,
            "/metrics": self._metrics,
            TAIL_PATH: self._tail,
        }

    @property
    def needs_token(self) -> bool:
        """Whether clients need a token."""
        return self._tokens is not None

    def bye(self, reason: str) -> None:
        """Close every viewer with ``bye``."""
        for hub in self._hubs.values():
            hub.bye(reason)

    def has_valid_token(self, authorization: str) -> bool:
        """Whether a header has a valid token, for whichever log group."""
        return self._tokens is not None and self._tokens.check(authorization, None) == "ok"

    def close_revoked(self) -> None:
        """Close the viewers whose token is no longer valid for their log group."""
        for hub in self._hubs.values():
            hub.close_revoked()

    def respond(
        self, method: str, target: str, authorization: str | None, now_ms: int
    ) -> ResponseSteps:
        """Make the response to a request that is not an upgrade; ``target`` is path and query."""
        try:
            path, query = split_target(target)
            if method != "GET":
                return _refuse(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is allowed")
            if path in self._open_routes:
                return self._open_routes[path]()
            route = self._routes.get(path)
            if route is None:
                return _refuse(HTTPStatus.NOT_FOUND, "no such path")
            return (yield from route(query, authorization, now_ms))
        except RequestError as error:
            return error_response(error)
        except (WireError, ValueError) as error:
            return _refuse(HTTPStatus.BAD_REQUEST, str(error))

    def accept(self, target: str, authorization: str | None) -> AcceptedViewer | ApiResponse:
        """Decide whether a viewer may connect with a target; returns the refusal if it may not."""
        try:
            query = parse_tail(split_target(target)[1])
            hub = self._hub(query.group, authorization)
            return AcceptedViewer(hub, query, lambda: self._verdict(authorization, hub.group.name))
        except RequestError as error:
            return error_response(error)
        except (WireError, ValueError) as error:
            return _refuse(HTTPStatus.BAD_REQUEST, str(error))

    # Access

    def _hub(self, group: str | None, authorization: str | None) -> Hub:
        """Return the requested log group's hub, if the token covers it; None: the only one."""
        self._check(authorization, group)
        if group is None:
            if len(self._hubs) > 1:
                text = f"the parameter group is missing: {len(self._hubs)} log groups are served"
                raise RequestError(HTTPStatus.BAD_REQUEST, text)
            group = next(iter(self._hubs))
            self._check(authorization, group)
        hub = self._hubs.get(group)
        if hub is None:
            text = f"log group {group[:100]!a} is not served here"
            raise RequestError(HTTPStatus.NOT_FOUND, text)
        return hub

    def _verdict(self, authorization: str | None, group: str | None) -> TokenVerdict:
        return "ok" if self._tokens is None else self._tokens.check(authorization, group)

    def _check(self, authorization: str | None, group: str | None) -> None:
        verdict = self._verdict(authorization, group)
        if verdict == "unknown":
            text = "a valid token is needed: give --token-file, or send Authorization: Bearer TOKEN"
            raise RequestError(HTTPStatus.UNAUTHORIZED, text)
        if verdict == "denied":
            raise RequestError(HTTPStatus.FORBIDDEN, "the token does not cover this log group")

    def _covered(self, authorization: str | None) -> list[Hub]:
        self._check(authorization, None)
        return [
            hub for name, hub in self._hubs.items() if self._verdict(authorization, name) == "ok"
        ]

    # Responses

    def _logs(self, query: str, authorization: str | None, now_ms: int) -> ResponseSteps:
        parsed = parse_logs(query)
        hub = self._hub(parsed.group, authorization)
        builder = LogsPageBuilder(hub, parsed)
        if parsed.since is not None:
            hub.request_polled_history(parsed.since, parsed.filter.executions, now_ms)
        return ApiResponse(HTTPStatus.OK, (yield from builder.body()))

    def _digest(self, query: str, authorization: str | None, _now_ms: int) -> ResponseSteps:
        parsed = parse_digest(query)
        hub = self._hub(parsed.group, authorization)
        yield None
        return ApiResponse(HTTPStatus.OK, encode(self._range_digest(hub, parsed)))

    def _range_digest(self, hub: Hub, query: DigestQuery) -> DigestBody:
        """Compute a range's digest for the journal as it was at ``seq`` [14]."""
        journal = hub.group.journal
        if not journal.is_resumable(query.epoch, query.seq):
            text = "the journal has no such epoch and seq any more"
            raise RequestError(HTTPStatus.CONFLICT, text, journal.epoch)
        total = hub.group.totals.total(
            query.from_, query.through, query.filter, base=query.base, seq=query.seq
        )
        return DigestBody(
            epoch=journal.epoch,
            from_=query.from_,
            through=query.through,
            seq=query.seq,
            count=total.count,
            digest=digest_hex(total.digest),
        )

    def _executions(self, query: str, authorization: str | None, now_ms: int) -> ResponseSteps:
        hub = self._hub(parse_feed(query)[0], authorization)
        yield None
        return ApiResponse(HTTPStatus.OK, encode(hub.group.executions.summaries(now_ms)))

    def _groups(self, query: str, authorization: str | None, _now_ms: int) -> ResponseSteps:
        """List the log groups; with ``detail`` also the allowance and live path of each."""
        yield None
        hubs = self._covered(authorization)
        if "detail" not in parse_qs(query, keep_blank_values=True):
            return ApiResponse(HTTPStatus.OK, encode([hub.group.name for hub in hubs]))
        polled = LiveStatus("poll", None, None)
        details = [
            {
                "group": hub.group.name,
                "allowance_ms": hub.group.allowance_ms,
                "live": polled if hub.live is None else hub.live.status,
            }
            for hub in hubs
        ]
        return ApiResponse(HTTPStatus.OK, encode(details))

    def _viewers(self, _query: str, authorization: str | None, now_ms: int) -> ResponseSteps:
        yield None
        hubs = self._covered(authorization)
        records = [viewer.record(now_ms) for hub in hubs for viewer in hub.viewers]
        return ApiResponse(HTTPStatus.OK, encode(records))

    def _metrics(self, _query: str, authorization: str | None, _now_ms: int) -> ResponseSteps:
        yield None
        skew_ms = 0 if self._skew is None else self._skew.ms
        process = metrics.ProcessStats(self.responses, self._refused, self._calls, skew_ms)
        text = metrics.render(self._covered(authorization), process)
        return ApiResponse(HTTPStatus.OK, text, metrics.CONTENT_TYPE)

    def _tail(self, query: str, authorization: str | None, _now_ms: int) -> ResponseSteps:
        # Errors of the request are reported first, upgrade or not.
        self._hub(parse_tail(query).group, authorization)
        yield None
        raise RequestError(HTTPStatus.UPGRADE_REQUIRED, "this path needs a WebSocket upgrade")

    def _readyz(self) -> ApiResponse:
        """Report whether every log group is served completely.

        A wrong clock makes nothing incomplete, but is worth reporting; so is a log group that
        CloudWatch refuses at present, whose past is served all the same.
        """
        upstream = {
            name: {"state": one.state, "code": one.code, "reason": one.reason}
            for name, hub in self._hubs.items()
            if (one := hub.feed.upstream).state != "ok"
        }
        about_upstream = {"upstream": upstream} if upstream else {}
        reasons = [why for hub in self._hubs.values() if (why := hub.unready_reason) is not None]
        if reasons:
            refusal = _refuse(HTTPStatus.SERVICE_UNAVAILABLE, "; ".join(reasons))
            refusal.body = encode({"error": "; ".join(reasons), **about_upstream})
            return refusal
        skew_ms = 0 if self._skew is None else self._skew.reported_ms
        about_clock = {"clock_ahead_ms": skew_ms} if skew_ms else {}
        return ApiResponse(HTTPStatus.OK, encode({"ready": True, **about_clock, **about_upstream}))


def error_response(error: RequestError) -> ApiResponse:
    """Make the response to a refused request, with the reason in ``error``."""
    body = HttpError(error.text, error.epoch)
    fields = {"error": body.error} if body.epoch is None else body
    response = ApiResponse(int(error.status), encode(fields))
    if error.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = "GET"
    if error.status == HTTPStatus.UPGRADE_REQUIRED:
        response.headers["Upgrade"] = "websocket"
    retry_after_s = error.retry_after_s
    if retry_after_s is None and error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        retry_after_s = 1
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response


def _refuse(status: HTTPStatus, text: str) -> ApiResponse:
    return error_response(RequestError(status, text))


def split_target(target: str) -> tuple[str, str]:
    """Split a request's target into path and query, without resolving anything.

    No served path has an escape or a dot, so ``/v1/../x``, ``//host/v1/logs`` and ``/v1/%6cogs``
    are just unknown paths.
    """
    path, _, query = target.partition("?")
    return path, query
