"""Polling over plain HTTP, every 10 s: which requests a round makes, and what the answers mean.

With a WebSocket open, a round only compares the range since the last mark. Without one, it brings
the lines: those after the cursor, then the history, then a comparison, then repairs of what
compared unequal, then what the forwarder declares: gaps, altered texts, and CloudWatch's state.
``PollPlan`` decides this and is pure; ``PollingLoop`` sends the requests.
Numbers in brackets are rules of PROTOCOL.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Literal, NamedTuple, get_args
from urllib.parse import urlencode

import msgspec

from common.concurrency import wait_and_clear
from common.http import HttpFailure, Response
from tui.client.connection import HttpGetter
from tui.client.holdings import Holdings, RangeRequest
from tui.client.session import ViewerSession
from tui.client.status import Effect
from wire.codec import decode_body
from wire.digest import digest_hex
from wire.errors import WireError
from wire.limits import DEFAULT_HISTORY_MS, TIMESTAMP_MAX
from wire.messages import (
    DeclaredBody,
    DigestBody,
    End,
    ExecutionStatus,
    ExecutionSummary,
    HttpError,
    Item,
    LogsPage,
)
from wire.order import Interval, first_key, key_of, timestamp_of
from wire.query import DigestQuery, Filter, LogsQuery

POLL_MS: Final = 10_000
"""Interval between rounds."""

OLDER_POLL_MS: Final = 1_000
"""The same while a reader waits for older lines."""

AHEAD_MS: Final = 3 * 3_600_000
"""How far ahead of now a comparison reaches: PutLogEvents accepts events up to 2 h ahead."""

OVERLAP_MS: Final = 120_000
"""How much of the verified range is compared again, as late events land there."""

_OK: Final = 200
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409

_ENDED: Final = frozenset(get_args(ExecutionStatus)) - {"UNKNOWN"}
"""Statuses of an ended execution; UNKNOWN may mean that the forwarder does not look for ends."""


class PolledEnds:
    """Finds the ends of a filter's executions by polling, in place of ``end`` messages. Pure.

    An execution has ended once two rounds, a whole interval apart, agree on its status, last
    event and count, and all of its events are verified.
    """

    def __init__(self, holdings: Holdings, event_filter: Filter) -> None:
        self._holdings = holdings
        self._executions = frozenset(event_filter.executions)
        self._before: dict[str, ExecutionSummary] = {}

    @property
    def are_open(self) -> bool:
        """Whether an execution of the filter has not ended yet."""
        return not self._executions <= {end.execution for end in self._holdings.ends}

    def compare_summaries(self, rows: list[ExecutionSummary], seq: int) -> list[Effect]:
        """Compare a round's summaries with those before; returns the ends that follow."""
        holdings, effects = self._holdings, list[Effect]()
        ended = {
            row.execution: row
            for row in rows
            if row.execution in self._executions and row.status in _ENDED
        }
        for execution, row in ended.items():
            if row.first is None or row.last is None:
                continue
            if self._before.get(execution) != row or not holdings.proof.is_verified(0, row.last):
                continue
            own = holdings.total(row.first, row.last, seq)
            end = End(
                execution=execution,
                status="UNKNOWN" if row.status == "RUNNING" else row.status,
                from_=row.first,
                through=row.last,
                seq=seq,
                count=own.count,
                digest=digest_hex(own.digest),
            )
            effects += holdings.compare_end(end).effects
        self._before = ended
        return effects


RequestKind = Literal["scanned", "after", "history", "repair", "digest", "declared", "executions"]


class PollRequest(msgspec.Struct, frozen=True):
    """One HTTP request of a round."""

    kind: RequestKind
    target: str
    """Path with query."""
    query: LogsQuery | DigestQuery | None = None
    range_request: RangeRequest | None = None
    """The range that is compared or repaired."""


class PollError(Exception):
    """A round was broken off; the text is the reason in one line."""


class _Repair(msgspec.Struct):
    """A range that is being fetched again, before it is compared once more."""

    request: RangeRequest
    seen: set[int] = msgspec.field(default_factory=set)
    next: str | None = None
    """Continuation of the pages."""
    has_all_pages: bool = False


class _Round(msgspec.Struct):
    """The progress of one round."""

    fetches_lines: bool
    """Whether it brings lines, since no WebSocket is open, rather than only compares."""
    welcomes: int
    """The session's number of welcomes when it began."""
    since: int | None
    """Start of the history that was requested when it began."""
    to_compare: list[RangeRequest] = []
    page: LogsPage | None = None
    """The last page of lines after the cursor."""
    scanned: LogsPage | None = None
    """The response that says how far whole scans reach, requested before the lines."""
    repair: _Repair | None = None
    has_declared: bool = False
    """Whether what the forwarder declares was requested."""
    has_executions: bool = False
    """Whether the executions were requested."""

    def restart(self) -> None:
        """Begin with the lines after the cursor again."""
        self.page = self.scanned = None


class PollPlan:
    """Plans the polling rounds of one session, which gets the lines and comparisons. Pure."""

    def __init__(self, session: ViewerSession) -> None:
        self._session = session
        self._ends = PolledEnds(session.holdings, session.event_filter)
        self._history_next: str | None = None  # where the next round continues the history
        self._history_of: int | None = None  # the start of that history
        self._round: _Round | None = None

    @property
    def fetches_lines(self) -> bool:
        """Whether the present round brings lines, rather than only compares."""
        return self._round is not None and self._round.fetches_lines

    @property
    def interval_ms(self) -> int:
        """Wait before the next round."""
        session = self._session
        is_here = session.is_backfilled and session.holdings.proof.complete_through is not None
        return (
            POLL_MS if session.is_welcomed or is_here or not session.is_extended else OLDER_POLL_MS
        )

    def begin_round(self, now_ms: int) -> None:
        """Begin a round; without a WebSocket it brings lines, otherwise it only compares."""
        session = self._session
        if not session.is_welcomed and session.since is None:
            # The forwarder's own default, but sent with each request: every page must mean it.
            everything = bool(session.event_filter.executions)
            session.since = 0 if everything else max(0, now_ms - DEFAULT_HISTORY_MS)
        since = session.requested_since
        if self._history_of not in (None, since):
            self._history_next = None  # a continuation of other history
        self._history_of = since
        self._round = _Round(not session.is_welcomed, session.welcomes, since)
        if session.is_welcomed:
            self._round.to_compare = list(self._ranges_since_mark(now_ms))

    def next_request(self) -> PollRequest | None:
        """Return the next request of the round; None at its end."""
        current = self._valid_round()
        if current is None:
            return None
        page = self._next_page(current) if current.fetches_lines else None
        if page is not None:
            return page
        if current.repair is not None:
            return self._repair_request(current.repair)
        if current.to_compare:
            return self._digest_request(current.to_compare[0])
        return self._closing_request(current) if current.fetches_lines else None

    def _closing_request(self, current: _Round) -> PollRequest | None:
        """The request for what is declared, then the one for the executions; None after both."""
        session = self._session
        if not current.has_declared and session.epoch is not None:
            declared = LogsQuery(since=session.since)
            return self._logs_request("declared", declared, path="/v1/declared")
        if self._ends.are_open and not current.has_executions:
            named = (("group", session.group), ("pattern", session.event_filter.pattern))
            query = urlencode([(name, value) for name, value in named if value])
            return PollRequest("executions", f"/v1/executions{query and '?' + query}")
        return None

    def take_response(  # noqa: PLR0911 - one return for each kind of request
        self, request: PollRequest, response: Response, now_ms: int
    ) -> list[Effect]:
        """Store the lines, or compare the total, that a response brings.

        Raises:
            PollError: The request was refused, or the response is not one of the protocol; the
                round ends.
        """
        current = self._valid_round()
        if current is None:
            return []
        if request.kind == "declared":
            current.has_declared = True
            if response.status == _NOT_FOUND:  # an extension that another forwarder may lack
                self._session.report.take_upstream(None, now_ms)
                return []
        if response.status == _CONFLICT:
            return self._on_conflict(current)
        if response.status != _OK:
            self._history_next = None  # the forwarder may have refused this continuation
            raise PollError(_refusal(response))
        try:
            if request.kind == "digest":
                return self._on_digest(
                    current, request, decode_body(response.body, DigestBody), now_ms
                )
            if request.kind == "declared":
                return self._session.take_declared(decode_body(response.body, DeclaredBody), now_ms)
            if request.kind == "executions":
                current.has_executions = True
                rows = _decode_executions(response.body)
                return self._ends.compare_summaries(rows, self._session.after)
            page = decode_body(response.body, LogsPage)
            return self._on_page(current, request.kind, page, now_ms)
        except WireError as error:
            self.end_round()
            raise PollError(str(error)) from error

    def end_round(self) -> None:
        """End the round, whether all of it was done or not."""
        self._round = None

    def _valid_round(self) -> _Round | None:
        """The round, unless a WebSocket came or went meanwhile and moved the cursor as well.

        Nor is a round valid once older history was asked for: what its pages say is about less.
        """
        current, session = self._round, self._session
        if current is None or session.is_welcomed == current.fetches_lines:
            return None
        if session.requested_since != current.since:
            return None
        return current if session.welcomes == current.welcomes else None

    def _next_page(self, current: _Round) -> PollRequest | None:
        """The request for the next page of lines; None once all are here."""
        session = self._session
        if session.epoch is None:
            return self._logs_request("history", LogsQuery(since=session.requested_since))
        if session.is_backfilled and current.scanned is None:
            # A page of one line, only to learn how far whole scans reach from ``since`` on.
            query = LogsQuery(since=session.since, through=session.since, limit=1)
            return self._logs_request("scanned", query)
        if current.page is None or current.page.next is not None:
            return self._logs_request("after", self._after_query(current.page))
        if not session.is_backfilled:
            through = self._history_through()
            query = LogsQuery(
                since=session.requested_since, through=through, next=self._history_next
            )
            return self._logs_request("history", query)
        return None

    def _on_page(
        self, current: _Round, kind: RequestKind, page: LogsPage, now_ms: int
    ) -> list[Effect]:
        match kind:
            case "after":
                return self._on_after(current, page, now_ms)
            case "history":
                return self._on_history(current, page, now_ms)
            case "repair":
                return self._on_repair(current, page, now_ms)
        current.scanned = page
        return []

    def _history_through(self) -> int | None:
        """Last ms of the history that is not here; None unless only older history is missing."""
        held = self._session.held
        if held is None or held.low is None or held.high is not None:
            return None
        return timestamp_of(held.low)

    # Lines after the cursor, in seq order

    def _after_query(self, page: LogsPage | None) -> LogsQuery:
        """Query without ``since``, which would leave out late events that are older."""
        session = self._session
        continuation = page.next if page is not None and not page.items else None
        return LogsQuery(epoch=session.epoch, after=session.after, next=continuation)

    def _is_requested(self, item: Item) -> bool:
        """Whether an event is part of the request: one before ``since`` only if it is late."""
        since = self._session.requested_since or 0
        return item.timestamp >= since or item.origin != "backfill"

    def _on_after(self, current: _Round, page: LogsPage, now_ms: int) -> list[Effect]:
        session = self._session
        seqs = [item.seq for item in page.items]
        if seqs and (min(seqs) <= session.after or seqs != sorted(seqs)):
            msg = "the lines after the cursor are out of order"
            raise WireError(msg)
        before = current.page.next if current.page is not None else None
        if page.next is not None and not seqs and page.next == before:
            msg = "a page without lines leads to itself"
            raise WireError(msg)
        # A page is empty where the filter leaves out every event that it covers.
        reached = page.head_seq if page.next is None else max([session.after, *seqs])
        if reached < session.after:
            return self._on_conflict(current)
        items = [item for item in page.items if self._is_requested(item)]
        effects = session.store_items(items, now_ms, live=True)
        session.advance(page.epoch, reached, page.head_seq)
        current.page = page
        if page.next is None and session.is_backfilled:
            current.to_compare += self._ranges_to_compare(current, now_ms)
        return effects

    def _on_conflict(self, current: _Round) -> list[Effect]:
        """409: the cursor is of another epoch, so all events have to come again [14]."""
        if not current.fetches_lines:
            self.end_round()  # the WebSocket will report it too
            return []
        current.restart()
        current.repair = None
        current.to_compare = []
        self._history_next = None
        return self._session.rebase("the forwarder began another epoch")

    # History, in display order

    def _on_history(self, current: _Round, page: LogsPage, now_ms: int) -> list[Effect]:
        session = self._session
        if session.epoch is None:
            # The journal of this moment is the history; newer events come after the cursor.
            session.advance(page.epoch, page.head_seq, page.head_seq)
        elif session.epoch != page.epoch:
            current.page = None  # first ask whether the cursor is still valid
            return []
        effects = session.store_items(page.items, now_ms, live=False)
        self._history_next = page.next
        since = first_key(session.requested_since or 0)
        if page.next is None:
            session.set_held(Interval(since, None))
            current.restart()  # the newest lines once more, then the comparison
        elif page.items:
            self._extend_held(since, key_of(page.items[-1].timestamp, page.items[-1].id))
        return effects

    def _extend_held(self, low: int, reached: int) -> None:
        """Let a WebSocket not send again what polling brought of the history [3].

        If a WebSocket has begun at the newest end, its interval stays until the two meet.
        """
        held = self._session.held
        if held is None or (held.low == low and held.high is not None and held.high < reached):
            self._session.set_held(Interval(low, reached))

    # Comparing

    def _ranges_since_mark(self, now_ms: int) -> Iterator[RangeRequest]:
        """The range since the last mark, as far as its history is here."""
        session = self._session
        mark, since = session.holdings.last_mark, session.since
        if session.epoch is None or since is None:
            return
        low, high = since, now_ms + AHEAD_MS
        if mark is not None:
            low = max(low, mark.through_ms + 1)
        if not session.is_backfilled:
            if session.held is None or session.held.low is None:
                return
            low = max(low, timestamp_of(session.held.low) + 1)
            if session.held.high is not None:
                high = min(high, timestamp_of(session.held.high) - 1)
        low = max(low, session.holdings.floor_ms)
        if low <= high:
            yield RangeRequest("verify", low, min(high, TIMESTAMP_MAX), scanned=False)

    def _ranges_to_compare(self, current: _Round, now_ms: int) -> Iterator[RangeRequest]:
        """The range that whole scans cover, which an equal total verifies, and the one above."""
        session = self._session
        verified = session.holdings.proof.complete_through
        low = session.since or 0
        if verified is not None:
            low = max(low, verified + 1 - OVERLAP_MS)
        low = max(low, session.holdings.floor_ms)
        through = self._scanned_through(current.scanned)
        if through is not None and verified is not None and through < verified:
            # The forwarder takes back what it marked when texts have changed under their ids.
            session.holdings.proof.withdraw_verified(through + 1, verified)
        if through is not None and through >= low:
            yield RangeRequest("verify", low, through, scanned=True)
            low = through + 1
        top = now_ms + AHEAD_MS
        if low <= top:
            yield RangeRequest("verify", low, top, scanned=False)

    def _scanned_through(self, scanned: LogsPage | None) -> int | None:
        """How far scans had reached when the lines were requested, if all of those are here now."""
        session = self._session
        if scanned is None or scanned.epoch != session.epoch or scanned.head_seq > session.after:
            return None
        return scanned.complete_through

    def _digest_request(self, request: RangeRequest) -> PollRequest | None:
        session = self._session
        if session.epoch is None:
            return None
        query = DigestQuery(
            group=session.group,
            filter=session.event_filter,
            from_=request.from_,
            through=request.through,
            epoch=session.epoch,
            seq=session.after,
            base=session.holdings.tally.base,
        )
        return PollRequest("digest", f"/v1/digest?{query.encode()}", query, request)

    def _on_digest(
        self, current: _Round, sent: PollRequest, reply: DigestBody, now_ms: int
    ) -> list[Effect]:
        session, query, request = self._session, sent.query, sent.range_request
        assert isinstance(query, DigestQuery), "a digest was requested"
        assert request is not None, "a digest compares a range"
        repair, current.repair = current.repair, None
        seen = repair.seen if repair is not None and request.kind == "repair" else set[int]()
        current.to_compare = current.to_compare[1:]
        if not self._is_about(query, reply):
            return []
        result = session.holdings.compare_answer(request, reply, seen, session.generation)
        effects = list(result.effects)
        for more in result.requests:
            if not current.fetches_lines:
                effects += session.request_range(more, now_ms)
            else:
                current.to_compare.insert(0, more)
        if current.to_compare and current.to_compare[0].kind == "repair":
            current.repair = _Repair(current.to_compare[0])
        return effects

    def _is_about(self, query: DigestQuery, reply: DigestBody) -> bool:
        """Whether a digest is of the requested epoch, seq and range [14]."""
        requested = (query.seq, query.from_, query.through)
        same = reply.epoch in (None, query.epoch)  # left out: another epoch would be a 409
        return same and requested == (reply.seq, reply.from_, reply.through)

    # Repairs, in display order

    def _repair_request(self, repair: _Repair) -> PollRequest | None:
        request = repair.request
        if repair.has_all_pages:
            return self._digest_request(request)
        query = LogsQuery(since=request.from_, through=request.through, next=repair.next)
        return self._logs_request("repair", query, request)

    def _on_repair(self, current: _Round, page: LogsPage, now_ms: int) -> list[Effect]:
        session, repair = self._session, current.repair
        assert repair is not None, "a repair was requested"
        if page.epoch != session.epoch:
            self.end_round()
            return []
        base = session.holdings.tally.base
        items = [item for item in page.items if item.seq > base]
        effects = session.store_items(items, now_ms, live=False)
        repair.seen.update(session.holdings.keys_of(items))
        repair.next, repair.has_all_pages = page.next, page.next is None
        return effects

    def _logs_request(
        self,
        kind: RequestKind,
        query: LogsQuery,
        request: RangeRequest | None = None,
        path: str = "/v1/logs",
    ) -> PollRequest:
        session = self._session
        query = msgspec.structs.replace(query, group=session.group, filter=session.event_filter)
        return PollRequest(kind, f"{path}?{query.encode()}", query, request)


def _decode_executions(body: bytes) -> list[ExecutionSummary]:
    """The summaries; none where a forwarder uses another format, as the protocol allows."""
    try:
        return decode_body(body, list[ExecutionSummary])
    except WireError:
        return []


def _refusal(response: Response) -> str:
    try:
        why = decode_body(response.body, HttpError).error
    except WireError:
        why = "the answer is not a forwarder's"
    return f"HTTP {response.status}: {why[:200]}"


class RoundResult(NamedTuple):
    """How a polling round ended."""

    failure: str | None
    """Why it was broken off, in one line."""
    fetched_lines: bool
    """Whether it was to bring lines."""


class PollingLoop:
    """Runs the polling rounds of one target. A shell.

    Args:
        plan: Decides what to request.
        getter: Sends the requests.
        on_effects: Awaited with the effects of each response.
        on_round_end: Called after each round.
        now_ms: The wall clock, which events are stamped by.
    """

    def __init__(
        self,
        plan: PollPlan,
        getter: HttpGetter,
        *,
        on_effects: Callable[[list[Effect]], Awaitable[None]],
        on_round_end: Callable[[RoundResult], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._plan = plan
        self._getter = getter
        self._on_effects = on_effects
        self._on_round_end = on_round_end
        self._now_ms = now_ms
        self._now = asyncio.Event()

    def poll_now(self) -> None:
        """Begin a round without waiting, as the WebSocket is refused."""
        self._now.set()

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await wait_and_clear(self._now, self._plan.interval_ms / 1000)
            await self.run_round()

    async def run_round(self) -> None:
        """Send the requests of one round, and report its end."""
        plan = self._plan
        plan.begin_round(self._now_ms())
        fetches_lines, failure = plan.fetches_lines, None
        try:
            while (request := plan.next_request()) is not None:
                response = await self._getter.get(request.target)
                await self._on_effects(plan.take_response(request, response, self._now_ms()))
        except (HttpFailure, PollError) as error:
            failure = str(error)
        finally:
            plan.end_round()
        self._on_round_end(RoundResult(failure, fetches_lines))
