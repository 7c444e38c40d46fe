"""The HTTP API: makes every response, and decides which viewers may connect. Pure.

There is no socket, the time is an argument, and the only file is the API's own description. A
response is made by a generator that yields now and then, so that a page of ten thousand events does
not delay other connections. It yields a ``StepRequest`` where something must be done before it can
go on: bodies fetched again, a log group started, the account's log groups listed. None is yielded
before the token has been checked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, urlencode

import msgspec

from forwarder.cloudwatch.clock import ClockSkew
from forwarder.delivery.declared import declared_to
from forwarder.delivery.hub import Hub
from forwarder.errors import NOT_COVERED, RequestError
from forwarder.live.receiver import LiveStatus
from forwarder.records import FeedKey, TokenVerdict
from forwarder.server import metrics
from forwarder.server.admission import RefusalReason
from forwarder.server.log_pages import BodyRequest, LogsPageBuilder, cursor_of
from forwarder.server.status import ForwarderStatus
from forwarder.server.tokens import BearerTokens
from wire.codec import encode
from wire.digest import digest_hex
from wire.errors import WireError
from wire.messages import DigestBody, HttpError
from wire.query import DigestQuery, TailQuery, parse_digest, parse_feed, parse_logs, parse_tail

ALIVE_PATH: Final = "/healthz"
LOGS_PATH: Final = "/v1/logs"
TAIL_PATH: Final = "/v1/tail"
GROUPS_PATH: Final = "/v1/groups"
JSON: Final = "application/json"
OPENAPI: Final = Path(__file__).with_name("openapi.json")
"""Describes every request and response of this API, for tools that make clients and tests."""

_Result = TypeVar("_Result")


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


class GroupRequest(msgspec.Struct):
    """A feed that is to be served; the answer sent into the steps is its hub.

    Attributes:
        key: The feed; its log group may be an ARN of the forwarder's own account.
        is_covered: Whether the client's token covers a log group. The name of an ARN may be
            covered without the ARN; nothing may be read before its account is known.
    """

    key: FeedKey
    is_covered: Callable[[str], bool]


class ListingRequest(msgspec.Struct):
    """Patterns of log groups to list; the answer sent into the steps is a list of them."""

    patterns: tuple[str, ...]


class CatchUpRequest(msgspec.Struct):
    """A hub whose journal must have all that the shared one has; the answer is whether it does."""

    hub: Hub


StepRequest = CatchUpRequest | BodyRequest | GroupRequest | ListingRequest
"""What the steps of a response need from the server before they can go on."""

_Steps = Generator[StepRequest | None, Any, _Result]

ResponseSteps = _Steps[ApiResponse]
"""The steps of making a response, which is the generator's return value."""

_FEED: Final = ("group", "pattern")
"""Parameters that name a feed."""

ONLY_INGESTS: Final = "this forwarder only ingests: connect to one with --role serve or both"

BEHIND: Final = "this server has not caught up with the replicated journal"

PATTERNS_MAX: Final = 20
"""Patterns in one request for log groups."""


class Api:
    """The HTTP API for the log groups of one forwarder.

    Attributes:
        responses: Responses by status, for the metrics.
        serves_viewers: Whether events are served; otherwise only what is known of the process.
    """

    def __init__(
        self,
        hubs: Mapping[FeedKey, Hub],
        tokens: BearerTokens | None = None,
        *,
        may_serve: Callable[[str], bool] = lambda _: False,
        place: Callable[[], str] = lambda: "",
        status: Callable[[], ForwarderStatus] = ForwarderStatus,
        refused: Mapping[RefusalReason, int] | None = None,
        calls: Counter[str] | None = None,
        skew: ClockSkew | None = None,
    ) -> None:
        """Serve the log groups of ``hubs``.

        Args:
            hubs: Hubs of the log groups that are served; changes as they come and go.
            tokens: Accepted bearer tokens; None: no token is needed.
            may_serve: Whether a log group that is not in ``hubs`` can be added to them.
            place: Returns Region and account, for messages.
            status: Returns values of the process, for the metrics and ``/v1/forwarder``.
            refused: Refusals by reason, for the metrics.
            calls: CloudWatch calls by outcome, for the metrics.
            skew: Difference between this machine's clock and CloudWatch's; None: not measured.
        """
        self._hubs = hubs
        self._tokens = tokens
        self._refused = {} if refused is None else refused
        self._calls: Counter[str] = Counter() if calls is None else calls
        self._skew = skew
        self._may_serve = may_serve
        self._place = place
        self._status = status
        self.responses: Counter[int] = Counter()
        self.serves_viewers = True
        self._open_routes: dict[str, Callable[[], ApiResponse]] = {
            ALIVE_PATH: lambda: ApiResponse(HTTPStatus.OK, b'{"alive":true}'),
            "/readyz": self._readyz,
        }
        self._routes: dict[str, Callable[[str, str | None, int], ResponseSteps]] = {
            LOGS_PATH: self._logs,
            "/v1/digest": self._digest,
            "/v1/declared": self._declared,
            "/v1/executions": self._executions,
            GROUPS_PATH: self._groups,
            "/v1/forwarder": self._forwarder,
            "/v1/viewers": self._viewers,
            "/v1/openapi.json": self._openapi,
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

    def accept(
        self, target: str, authorization: str | None
    ) -> _Steps[AcceptedViewer | ApiResponse]:
        """Decide whether a viewer may connect with a target; returns the refusal if it may not."""
        try:
            query = parse_tail(split_target(target)[1])
            hub = yield from self._hub(query.group, query.filter.pattern, authorization)
            yield from _make_current(hub, query.epoch, query.after)
            return AcceptedViewer(hub, query, lambda: self._verdict(authorization, hub.group.name))
        except RequestError as error:
            return error_response(error)
        except (WireError, ValueError) as error:
            return _refuse(HTTPStatus.BAD_REQUEST, str(error))

    # Access

    def _hub(self, group: str | None, pattern: str, authorization: str | None) -> _Steps[Hub]:
        """Return the requested feed's hub, if the token covers its log group; None: the only one.

        A feed that does not run yet is started, if that is possible here.
        """
        if not self.serves_viewers:
            self._check(authorization, None)
            raise RequestError(HTTPStatus.MISDIRECTED_REQUEST, ONLY_INGESTS)
        if group is None:
            self._check(authorization, None)
            group = self._only_group()
        else:
            self._check_request(authorization, group)
        key = FeedKey(group, pattern)
        hub = self._hubs.get(key)
        if hub is not None:
            self._check(authorization, key.group)
        if self._may_serve(key.group):
            # Asked even if it runs: that it is used keeps it running.
            is_covered = partial(self._is_covered, authorization)
            found = yield GroupRequest(key, is_covered)
            assert isinstance(found, Hub)
            hub = found
        if hub is None:
            where = f", in {place}" if (place := self._place()) else ""
            text = f"log group {key.group[:200]!a} is not served here{where}"
            raise RequestError(HTTPStatus.NOT_FOUND, text)
        self._check(authorization, hub.group.name)
        return hub

    def _only_group(self) -> str:
        groups = list(dict.fromkeys(key.group for key in self._hubs))
        if not groups and (problems := self._status().problems):
            raise RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "; ".join(problems))
        if len(groups) != 1:
            count = len(groups) or "no"
            text = f"the parameter group is missing: {count} log groups are served"
            raise RequestError(HTTPStatus.BAD_REQUEST, text)
        return groups[0]

    def _check_request(self, authorization: str | None, group: str) -> None:
        """Check a token before the log group is known: an ARN may name one of the own account.

        What it names is checked again once it is known.
        """
        if group.startswith("arn:") and self._verdict(authorization, group) == "denied":
            group = group.partition(":log-group:")[2].removesuffix(":*")
        self._check(authorization, group)

    def _verdict(self, authorization: str | None, group: str | None) -> TokenVerdict:
        return "ok" if self._tokens is None else self._tokens.check(authorization, group)

    def _is_covered(self, authorization: str | None, group: str) -> bool:
        return self._verdict(authorization, group) == "ok"

    def _check(self, authorization: str | None, group: str | None) -> None:
        verdict = self._verdict(authorization, group)
        if verdict == "unknown":
            text = "a valid token is needed: give --token-file, or send Authorization: Bearer TOKEN"
            raise RequestError(HTTPStatus.UNAUTHORIZED, text)
        if verdict == "denied":
            raise RequestError(HTTPStatus.FORBIDDEN, NOT_COVERED)

    def _covered(self, authorization: str | None) -> list[Hub]:
        self._check(authorization, None)
        return [
            hub
            for key, hub in self._hubs.items()
            if self._verdict(authorization, key.group) == "ok"
        ]

    # Responses

    def _logs(self, query: str, authorization: str | None, now_ms: int) -> ResponseSteps:
        parsed = parse_logs(query)
        hub = yield from self._hub(parsed.group, parsed.filter.pattern, authorization)
        cursor = cursor_of(parsed)
        if cursor is not None:
            yield from _make_current(hub, *cursor)
        builder = LogsPageBuilder(hub, parsed)
        if parsed.since is not None:
            hub.request_polled_history(parsed.since, parsed.filter.executions, now_ms)
        return ApiResponse(HTTPStatus.OK, (yield from builder.body()))

    def _digest(self, query: str, authorization: str | None, _now_ms: int) -> ResponseSteps:
        parsed = parse_digest(query)
        hub = yield from self._hub(parsed.group, parsed.filter.pattern, authorization)
        yield None
        yield from _make_current(hub, parsed.epoch, parsed.seq)
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

    def _declared(self, query: str, authorization: str | None, _now_ms: int) -> ResponseSteps:
        parsed = parse_logs(query)
        hub = yield from self._hub(parsed.group, parsed.filter.pattern, authorization)
        yield None
        body = declared_to(hub.group, parsed.filter, parsed.since or 0, hub.feed.upstream)
        return ApiResponse(HTTPStatus.OK, encode(body))

    def _executions(self, query: str, authorization: str | None, now_ms: int) -> ResponseSteps:
        hub = yield from self._hub(*parse_feed(query), authorization)
        yield None
        return ApiResponse(HTTPStatus.OK, encode(hub.group.executions.summaries(now_ms)))

    def _groups(self, query: str, authorization: str | None, _now_ms: int) -> ResponseSteps:
        """List log groups.

        Those that are served; with ``detail`` also the allowance and live path of each; with
        ``group`` only that one, which is served from now on; with ``match`` those of the account.
        """
        yield None
        parameters = parse_qs(query, keep_blank_values=True)
        # ``detail`` may have no value, which a strict query has.
        named = [(name, one) for name in _FEED for one in parameters.get(name, ())]
        group, pattern = parse_feed(urlencode(named))
        patterns = tuple(parameters.get("match", ()))
        if patterns:
            return (yield from self._matching(patterns, authorization))
        if group is not None:
            hubs = [(yield from self._hub(group, pattern, authorization))]
        else:
            hubs = self._covered(authorization)
        if "detail" not in parameters:
            return ApiResponse(
                HTTPStatus.OK, encode(list(dict.fromkeys(hub.group.name for hub in hubs)))
            )
        polled = LiveStatus("poll", None, None)
        details = [
            {
                "group": hub.group.name,
                "pattern": hub.group.pattern,
                "allowance_ms": hub.group.allowance_ms,
                "live": polled if hub.live is None else hub.live.status,
            }
            for hub in hubs
        ]
        return ApiResponse(HTTPStatus.OK, encode(details))

    def _matching(self, patterns: tuple[str, ...], authorization: str | None) -> ResponseSteps:
        self._check(authorization, None)
        if len(patterns) > PATTERNS_MAX:
            text = f"{len(patterns)} patterns are given: at most {PATTERNS_MAX}"
            raise RequestError(HTTPStatus.BAD_REQUEST, text)
        found = yield ListingRequest(patterns)
        covered = [one for one in found if self._verdict(authorization, one.group) == "ok"]
        return ApiResponse(HTTPStatus.OK, encode(covered))

    def _forwarder(self, _query: str, authorization: str | None, _now_ms: int) -> ResponseSteps:
        """Describe the process and its log groups, for ``gapless forwarders``."""
        yield None
        hubs = self._covered(authorization)
        status = self._status()
        groups = [
            {
                "group": hub.group.name,
                "pattern": hub.group.pattern,
                "viewers": len(hub.viewers),
                "journal_bytes": status.journal_bytes(hub),
            }
            for hub in hubs
        ]
        body = {
            "pid": status.pid,
            "uptime_ms": status.uptime_ms,
            "calls_per_minute": status.calls_per_minute,
            "groups": groups,
        }
        return ApiResponse(HTTPStatus.OK, encode(body))

    def _viewers(self, _query: str, authorization: str | None, now_ms: int) -> ResponseSteps:
        yield None
        hubs = self._covered(authorization)
        records = [viewer.record(now_ms) for hub in hubs for viewer in hub.viewers]
        return ApiResponse(HTTPStatus.OK, encode(records))

    def _openapi(self, _query: str, authorization: str | None, _now_ms: int) -> ResponseSteps:
        self._check(authorization, None)
        yield None
        return ApiResponse(HTTPStatus.OK, OPENAPI.read_bytes())

    def _metrics(self, _query: str, authorization: str | None, _now_ms: int) -> ResponseSteps:
        yield None
        skew_ms = 0 if self._skew is None else self._skew.ms
        status = self._status()
        process = metrics.ProcessStats(
            self.responses,
            self._refused,
            self._calls,
            skew_ms,
            groups=len(self._hubs),
            failed_starts=status.failed_starts,
        )
        text = metrics.render(self._covered(authorization), process)
        return ApiResponse(HTTPStatus.OK, text, metrics.CONTENT_TYPE)

    def _tail(self, query: str, authorization: str | None, _now_ms: int) -> ResponseSteps:
        # Errors of the request are reported first, upgrade or not.
        parsed = parse_tail(query)
        yield from self._hub(parsed.group, parsed.filter.pattern, authorization)
        raise RequestError(HTTPStatus.UPGRADE_REQUIRED, "this path needs a WebSocket upgrade")

    def _readyz(self) -> ApiResponse:
        """Report whether every log group is served completely.

        A wrong clock makes nothing incomplete, but is worth reporting; so is a log group that
        CloudWatch refuses at present, whose past is served all the same. A feed with a filter
        pattern does not count: viewers start them at any time.
        """
        whole = {key.group: hub for key, hub in self._hubs.items() if not key.pattern}
        upstream = {
            group: {"state": one.state, "code": one.code, "reason": one.reason}
            for group, hub in whole.items()
            if (one := hub.feed.upstream).state != "ok"
        }
        about_upstream = {"upstream": upstream} if upstream else {}
        reasons = [why for hub in whole.values() if (why := hub.unready_reason) is not None]
        reasons += self._status().problems
        if reasons:
            refusal = _refuse(HTTPStatus.SERVICE_UNAVAILABLE, "; ".join(reasons))
            refusal.body = encode({"error": "; ".join(reasons), **about_upstream})
            return refusal
        skew_ms = 0 if self._skew is None else self._skew.reported_ms
        about_clock = {"clock_ahead_ms": skew_ms} if skew_ms else {}
        return ApiResponse(HTTPStatus.OK, encode({"ready": True, **about_clock, **about_upstream}))


def _make_current(hub: Hub, epoch: str | None, seq: int | None) -> _Steps[None]:
    """Let the journal catch up before a cursor is judged, where it is a copy of a shared one.

    If that takes too long, a cursor that is valid here is valid everywhere, since a copy lacks only
    the end; any other one might be refused wrongly.

    Raises:
        RequestError: the cursor can't be judged now (503).
    """
    if hub.catch_up is None or (yield CatchUpRequest(hub)):
        return
    if epoch is not None and not hub.group.journal.is_resumable(epoch, seq or 0):
        text = f"{BEHIND}: retry, or connect to another server"
        raise RequestError(HTTPStatus.SERVICE_UNAVAILABLE, text)


def error_response(error: RequestError) -> ApiResponse:
    """Make the response to a refused request, with the reason in ``error``."""
    body = HttpError(error.text, error.epoch)
    fields = {"error": body.error}
    if body.epoch is not None:
        fields["epoch"] = body.epoch
    if error.code is not None:
        fields["code"] = error.code
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
