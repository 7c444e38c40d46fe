"""What is answered over HTTP, and who may connect. Pure: no socket, and the time is an argument.

An answer is made by a generator that yields now and then, so that a page of ten thousand events
lets others go between; it yields ``NeedsBodies`` where rows must be fetched again first.
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
from forwarder.live.inlet import LiveStatus
from forwarder.records import TokenVerdict
from forwarder.server import metrics
from forwarder.server.admission import Reason
from forwarder.server.log_pages import LogsPages, NeedsBodies
from forwarder.server.tokens import Tokens
from wire.codec import encode
from wire.digest import digest_hex
from wire.errors import WireError
from wire.messages import DigestBody, HttpError
from wire.query import DigestQuery, TailQuery, parse_digest, parse_group, parse_logs, parse_tail

ALIVE_PATH: Final = "/healthz"
LOGS_PATH: Final = "/v1/logs"
TAIL_PATH: Final = "/v1/tail"
JSON: Final = "application/json"


class Answer(msgspec.Struct):
    """A response: its status, and its body whole."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = {}


class Accepted(msgspec.Struct):
    """A viewer that may connect."""

    hub: Hub
    query: TailQuery
    verdict: Callable[[], TokenVerdict]
    """What its token is worth by now; the token itself is not to be had."""


Steps = Generator[NeedsBodies | None, None, Answer]
"""An answer in the making; its return value is the answer."""


class Api:
    """Everything that is asked over HTTP, for the log groups of one forwarder."""

    def __init__(
        self,
        hubs: Mapping[str, Hub],
        tokens: Tokens | None = None,
        *,
        calls: Counter[str] | None = None,
        skew: ClockSkew | None = None,
    ) -> None:
        """Answer for ``hubs`` by group name, asking for one of ``tokens`` where there are any.

        Args:
            hubs: the served log groups.
            tokens: accepted bearer tokens; None: no token is needed.
            calls: CloudWatch calls by outcome, for the metrics.
            skew: how far this machine's clock and CloudWatch's differ; None: not measured.

        """
        self._hubs = hubs
        self._tokens = tokens
        self.requests: Counter[int] = Counter()
        """Answers by status."""
        self.refused: Counter[Reason] = Counter()
        """Refusals by reason; the server's."""
        self._calls: Counter[str] = Counter() if calls is None else calls
        self._skew = skew
        self._open: dict[str, Callable[[], Answer]] = {
            ALIVE_PATH: lambda: Answer(HTTPStatus.OK, b'{"alive":true}'),
            "/readyz": self._readyz,
        }
        self._routes: dict[str, Callable[[str, str | None, int], Steps]] = {
            LOGS_PATH: self._logs,
            "/v1/digest": self._digest,
            "/v1/executions": self._executions,
            "/v1/groups": self._groups,
            "/v1/viewers": self._viewers,
            "/metrics": self._metrics,
            TAIL_PATH: self._tail,
        }

    @property
    def asks_for_token(self) -> bool:
        """Whether only who has a token is let in."""
        return self._tokens is not None

    def bye(self, reason: str) -> None:
        """Every viewer is told to go."""
        for hub in self._hubs.values():
            hub.bye(reason)

    def knows(self, authorization: str) -> bool:
        """Whether a header has a valid token, whatever that covers."""
        return self._tokens is not None and self._tokens.check(authorization, None) == "ok"

    def tokens_changed(self) -> None:
        """Viewers whose token is not valid any more, or not for their group, are told to go."""
        for hub in self._hubs.values():
            hub.close_revoked()

    def answer(self, method: str, target: str, authorization: str | None, now_ms: int) -> Steps:
        """The answer to a request that is not a viewer's upgrade.

        Args:
            method: GET is served.
            target: path and query.
            authorization: the header, if there is one.
            now_ms: the time.

        """
        try:
            path, query = split(target)
            if method != "GET":
                return (yield from _refuse(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is served"))
            if path in self._open:
                return self._open[path]()
            route = self._routes.get(path)
            if route is None:
                return (yield from _refuse(HTTPStatus.NOT_FOUND, "there is no such path"))
            return (yield from route(query, authorization, now_ms))
        except RequestError as refusal:
            return refused(refusal)
        except (WireError, ValueError) as error:
            return refused(RequestError(HTTPStatus.BAD_REQUEST, str(error)))

    def accept(self, target: str, authorization: str | None) -> Accepted | Answer:
        """Whether a viewer may connect with this path and query; else the refusal."""
        try:
            query = parse_tail(split(target)[1])
            hub = self._hub(query.group, authorization)
            return Accepted(hub, query, lambda: self._verdict(authorization, hub.group.name))
        except RequestError as refusal:
            return refused(refusal)
        except (WireError, ValueError) as error:
            return refused(RequestError(HTTPStatus.BAD_REQUEST, str(error)))

    # Who may ask for what

    def _hub(self, group: str | None, authorization: str | None) -> Hub:
        """The log group that is asked for, if the token covers it."""
        self._check(authorization, group)
        if group is None:
            if len(self._hubs) > 1:
                text = f"group is needed: {len(self._hubs)} log groups are served"
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
            text = "a token is needed: Authorization: Bearer TOKEN"
            raise RequestError(HTTPStatus.UNAUTHORIZED, text)
        if verdict == "denied":
            raise RequestError(HTTPStatus.FORBIDDEN, "the token does not cover this log group")

    def _covered(self, authorization: str | None) -> list[Hub]:
        self._check(authorization, None)
        return [
            hub for name, hub in self._hubs.items() if self._verdict(authorization, name) == "ok"
        ]

    # The answers

    def _logs(self, query: str, authorization: str | None, now_ms: int) -> Steps:
        parsed = parse_logs(query)
        hub = self._hub(parsed.group, authorization)
        pages = LogsPages(hub, parsed)
        if parsed.since is not None:
            hub.request_polled_history(parsed.since, parsed.filter.executions, now_ms)
        return Answer(HTTPStatus.OK, (yield from pages.body()))

    def _digest(self, query: str, authorization: str | None, _now_ms: int) -> Steps:
        parsed = parse_digest(query)
        hub = self._hub(parsed.group, authorization)
        yield None
        return Answer(HTTPStatus.OK, encode(self._range_digest(hub, parsed)))

    def _range_digest(self, hub: Hub, query: DigestQuery) -> DigestBody:
        """A range's digest for the journal as it stood at ``seq``, or a refusal [14]."""
        journal = hub.group.journal
        if not journal.is_resumable(query.epoch, query.seq):
            text = "the journal is not the one of that epoch and seq"
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

    def _executions(self, query: str, authorization: str | None, now_ms: int) -> Steps:
        hub = self._hub(parse_group(query), authorization)
        yield None
        return Answer(HTTPStatus.OK, encode(hub.group.executions.summaries(now_ms)))

    def _groups(self, query: str, authorization: str | None, _now_ms: int) -> Steps:
        """The names; with ``detail`` how the news of each come in as well."""
        yield None
        hubs = self._covered(authorization)
        if "detail" not in parse_qs(query, keep_blank_values=True):
            return Answer(HTTPStatus.OK, encode([hub.group.name for hub in hubs]))
        polled = LiveStatus("poll", None, None)
        details = [
            {
                "group": hub.group.name,
                "allowance_ms": hub.group.allowance_ms,
                "live": polled if hub.live is None else hub.live.status,
            }
            for hub in hubs
        ]
        return Answer(HTTPStatus.OK, encode(details))

    def _viewers(self, _query: str, authorization: str | None, now_ms: int) -> Steps:
        yield None
        hubs = self._covered(authorization)
        records = [viewer.record(now_ms) for hub in hubs for viewer in hub.viewers]
        return Answer(HTTPStatus.OK, encode(records))

    def _metrics(self, _query: str, authorization: str | None, _now_ms: int) -> Steps:
        yield None
        skew_ms = 0 if self._skew is None else self._skew.ms
        process = metrics.Process(self.requests, self.refused, self._calls, skew_ms)
        text = metrics.render(self._covered(authorization), process)
        return Answer(HTTPStatus.OK, text, metrics.CONTENT_TYPE)

    def _tail(self, query: str, authorization: str | None, _now_ms: int) -> Steps:
        # What is wrong with the request is said first, upgrade or not.
        self._hub(parse_tail(query).group, authorization)
        text = "this path is a WebSocket: connect with an upgrade"
        answer = yield from _refuse(HTTPStatus.UPGRADE_REQUIRED, text)
        answer.headers["Upgrade"] = "websocket"
        return answer

    def _readyz(self) -> Answer:
        """Ready once what is served is complete, of every log group.

        A clock that is wrong makes nothing incomplete, but is worth knowing.
        """
        reasons = [why for hub in self._hubs.values() if (why := hub.unready_reason) is not None]
        if reasons:
            return refused(RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "; ".join(reasons)))
        skew_ms = 0 if self._skew is None else self._skew.reported_ms
        about_clock = {"clock_ahead_ms": skew_ms} if skew_ms else {}
        return Answer(HTTPStatus.OK, encode({"ready": True, **about_clock}))


def refused(refusal: RequestError) -> Answer:
    """A refusal as an answer, its text in ``error``."""
    body = HttpError(refusal.text, refusal.epoch)
    fields = {"error": body.error} if body.epoch is None else body
    answer = Answer(int(refusal.status), encode(fields))
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if refusal.status == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = "GET"
    retry_after_s = refusal.retry_after_s
    if retry_after_s is None and refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        retry_after_s = 1
    if retry_after_s is not None:
        answer.headers["Retry-After"] = str(retry_after_s)
    return answer


def _refuse(status: HTTPStatus, text: str) -> Steps:
    yield None
    return refused(RequestError(status, text))


def split(target: str) -> tuple[str, str]:
    """Path and query of a request's target, as they stand: nothing in it is resolved.

    No path of ours has an escape or a dot in it, so that ``/v1/../x``, ``//host/v1/logs`` or
    ``/v1/%6cogs`` is just a path that is not there.
    """
    path, _, query = target.partition("?")
    return path, query
