"""What to ask over plain HTTP each 10 s, and what the answers mean. Pure.

While a WebSocket is there, only the range since the last mark is compared. While none can be had,
a round of questions brings the lines: those after the cursor, then the past, then a comparison,
and what compared unequal once more. Numbers in brackets are the protocol's rules.

The ends of executions while no WebSocket can be had, which would tell them. Pure.

Two rounds of polling, a whole round apart, must agree on an execution's status, last event and
count, and everything of it must be proved both times; that is what ``end`` stands for.

Polling: asks over plain HTTP what ``PollPlan`` wants to know, each 10 s. Decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final, Literal, Protocol, get_args
from urllib.parse import urlencode

import msgspec

from common.http import HttpFailure
from tui.client.connection import Getter
from tui.client.holdings import ClaimedTotal, Holdings, RangeRequest
from tui.client.session import ViewerSession
from tui.client.status import Effect
from wire.codec import decode_body
from wire.digest import digest_hex
from wire.errors import WireError
from wire.limits import DEFAULT_HISTORY_MS, TIMESTAMP_MAX
from wire.messages import (
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

_ENDED: Final = frozenset(get_args(ExecutionStatus)) - {"UNKNOWN"}
"""UNKNOWN may also mean that the forwarder does not look for ends."""


class PollEnds:
    """The executions that a filter names, until each has ended.

    Args:
        holdings: What the viewer has of them.
        wanted: The filter.

    """

    def __init__(self, holdings: Holdings, wanted: Filter) -> None:
        """None has ended yet."""
        self._holdings = holdings
        self._wanted = wanted
        self._before: dict[str, ExecutionSummary] = {}

    @property
    def are_open(self) -> bool:
        """Whether there is one that has not ended."""
        return not set(self._wanted.executions) <= {end.execution for end in self._holdings.ends}

    def take(self, rows: list[ExecutionSummary], seq: int) -> list[Effect]:
        """What the forwarder says of all executions now; the ends that follow from it."""
        holdings, effects = self._holdings, list[Effect]()
        over = {
            row.execution: row
            for row in rows
            if row.execution in self._wanted.executions and row.status in _ENDED
        }
        for execution, row in over.items():
            if row.first is None or row.last is None or not holdings.proof.is_verified(0, row.last):
                continue
            if self._before.get(execution) != row:
                continue
            own = holdings.total(row.first, row.last, seq)
            end = End(
                execution=execution,
                status=_status(row),
                from_=row.first,
                through=row.last,
                seq=seq,
                count=own.count,
                digest=digest_hex(own.digest),
            )
            effects += holdings.compare_end(end).effects
        self._before = over
        return effects


def _status(row: ExecutionSummary) -> ExecutionStatus:
    return "UNKNOWN" if row.status == "RUNNING" else row.status


POLL_MS: Final = 10_000
"""How often a round begins."""

AHEAD_MS: Final = 3 * 3_600_000
"""How far ahead of now a comparison reaches: PutLogEvents takes events up to 2 h ahead."""

OVERLAP_MS: Final = 120_000
"""How much of what is proved already is compared again: late events land there."""

_OK: Final = 200
_CONFLICT: Final = 409

_ALL: Final = ""
"""In the place of the next page's name: all pages are here."""

Kind = Literal["complete", "after", "past", "again", "digest", "ends"]


class Ask(msgspec.Struct, frozen=True):
    """One request: its kind, and path with query."""

    kind: Kind
    target: str
    query: LogsQuery | DigestQuery | None = None
    request: RangeRequest | None = None
    """What is being compared or repaired."""


class Answer(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    body: bytes


class PollError(Exception):
    """A round ends here; the text is one line for a person."""


class PollPlan:
    """One session's rounds of polling.

    Args:
        session: The session that the lines and comparisons belong to.

    """

    def __init__(self, session: ViewerSession) -> None:
        """Create a plan that has not begun a round."""
        self._session = session
        self._ends = PollEnds(session.holdings, session.event_filter)
        self._are_ends_asked = False
        self._next: str | None = None  # where the past goes on in the next round
        self._since = 0
        self._is_round = False
        self._brings = False
        self._welcomes = 0
        self._page: LogsPage | None = None
        self._scanned: LogsPage | None = None
        self._to_compare: list[RangeRequest] = []
        self._repairing: tuple[RangeRequest, set[int], str | None] | None = None

    @property
    def is_bringing(self) -> bool:
        """Whether this round brings lines, rather than only compares."""
        return self._brings

    def begin(self, now_ms: int) -> None:
        """Begin a round."""
        session = self._session
        self._is_round = True
        self._are_ends_asked = False
        self._brings = not session.is_welcomed
        self._welcomes = session.welcomes
        self._page = self._scanned = None
        self._repairing = None
        self._to_compare = []
        if session.is_welcomed:
            self._to_compare = list(self._since_mark(now_ms))
        elif session.since is None:
            # As the forwarder would choose it, but said, since every page must mean the same.
            everything = bool(session.event_filter.executions)
            session.since = 0 if everything else max(0, now_ms - DEFAULT_HISTORY_MS)

    def next(self) -> Ask | None:
        """The next question of the round; None at its end."""
        if not self._is_valid():
            return None
        page = self._next_page() if self._brings else None
        if page is not None:
            return page
        if self._repairing is not None:
            return self._again(self._repairing[0], self._repairing[2])
        if self._to_compare:
            return self._compare(self._to_compare[0])
        if self._brings and self._ends.are_open and not self._are_ends_asked:
            group = self._session.group
            query = "" if group is None else "?" + urlencode({"group": group})
            return Ask("ends", f"/v1/executions{query}")
        return None

    def _next_page(self) -> Ask | None:
        """The next lines to ask for; None once all are here."""
        session = self._session
        if session.epoch is None:
            return self._logs("past", LogsQuery(since=session.since))
        if session.is_backfilled and self._scanned is None:
            return self._logs("complete", self._complete_query())
        if self._page is None or self._page.next is not None:
            return self._logs("after", self._after_query())
        if not session.is_backfilled:
            return self._logs("past", LogsQuery(since=session.since, next=self._next))
        return None

    def answered(self, ask: Ask, answer: Answer, now_ms: int) -> list[Effect]:
        """Take in an answer.

        Raises:
            PollError: the round ends: refused, or not an answer of the protocol.

        """
        if not self._is_valid():
            return []
        if answer.status == _CONFLICT:
            return self._conflict()
        if answer.status != _OK:
            self._next = None  # it may be what is refused
            raise PollError(_refusal(answer))
        try:
            if ask.kind == "digest":
                return self._on_digest(ask, decode_body(answer.body, DigestBody), now_ms)
            if ask.kind == "ends":
                self._are_ends_asked = True
                return self._ends.take(_executions(answer.body), self._session.after)
            page = decode_body(answer.body, LogsPage)
            return self._on_page(ask.kind, page, now_ms)
        except WireError as error:
            self._is_round = False
            raise PollError(str(error)) from error

    def stop(self) -> None:
        """The round is over, or broken off."""
        self._is_round = False

    def _is_valid(self) -> bool:
        """Whether no WebSocket has come or gone since the round began: it moves the cursor too."""
        session = self._session
        same = session.is_welcomed != self._brings and session.welcomes == self._welcomes
        return self._is_round and same

    def _on_page(self, kind: Kind, page: LogsPage, now_ms: int) -> list[Effect]:
        match kind:
            case "after":
                return self._on_after(page, now_ms)
            case "past":
                return self._on_past(page, now_ms)
            case "again":
                return self._on_again(page, now_ms)
        self._scanned = page
        return []

    # Lines after the cursor, in seq order

    def _complete_query(self) -> LogsQuery:
        """Asks how far whole scans reach from ``since`` on, before the lines are asked for."""
        since = self._session.since
        return LogsQuery(since=since, through=since, limit=1)

    def _after_query(self) -> LogsQuery:
        """Without ``since``, which would leave out late news that is older."""
        page, session = self._page, self._session
        following = page.next if page is not None and not page.items else None
        return LogsQuery(epoch=session.epoch, after=session.after, next=following)

    def _is_owed(self, item: Item) -> bool:
        """An older event is owed as late news, not where it was fetched for another viewer."""
        return item.timestamp >= (self._session.since or 0) or item.origin != "backfill"

    def _on_after(self, page: LogsPage, now_ms: int) -> list[Effect]:
        session = self._session
        seqs = [item.seq for item in page.items]
        if seqs and (min(seqs) <= session.after or seqs != sorted(seqs)):
            msg = "lines after a cursor came out of their order"
            raise WireError(msg)
        before = self._page.next if self._page is not None else None
        if page.next is not None and not seqs and page.next == before:
            msg = "a page without lines leads to itself"
            raise WireError(msg)
        # A page may be empty where the filter leaves out all that was looked at for it.
        reached = page.head_seq if page.next is None else max([session.after, *seqs])
        if reached < session.after:
            return self._conflict()
        effects = session.store_items(list(filter(self._is_owed, page.items)), now_ms, live=True)
        session.epoch, session.after = page.epoch, reached
        session.report.head_seq = page.head_seq
        self._page = page
        if page.next is None and session.is_backfilled:
            self._plan_comparison(now_ms)
        return effects

    def _conflict(self) -> list[Effect]:
        """409: the cursor is of another epoch, so everything is owed again [14]."""
        if not self._brings:
            self._is_round = False  # the WebSocket will say so itself
            return []
        self._page = self._scanned = self._next = self._repairing = None
        self._to_compare = []
        return self._session.rebase("the forwarder began another epoch")

    # The past, in display order

    def _on_past(self, page: LogsPage, now_ms: int) -> list[Effect]:
        session = self._session
        if session.epoch is None:
            # What the journal held at this moment is the past; what is newer comes after it.
            session.epoch, session.after = page.epoch, page.head_seq
            session.report.head_seq = page.head_seq
        elif session.epoch != page.epoch:
            self._page = None  # ask the cursor first whether it is still one
            return []
        effects = session.store_items(page.items, now_ms, live=False)
        self._next = page.next
        since = first_key(session.since or 0)
        if page.next is None:
            session.set_held(Interval(since, None))
            self._page = self._scanned = None  # once more after the cursor, then compare
        elif page.items:
            self._grow_held(since, key_of(page.items[-1].timestamp, page.items[-1].id))
        return effects

    def _grow_held(self, low: int, reached: int) -> None:
        """What came of the past need not come again over a WebSocket [3].

        Where one has begun at the newest end, its interval stays until the two have met.
        """
        held = self._session.held
        if held is None or (held.low == low and held.high is not None and held.high < reached):
            self._session.set_held(Interval(low, reached))

    # Comparing

    def _since_mark(self, now_ms: int) -> Iterator[RangeRequest]:
        """The range since the last mark, as far as all of its past is here."""
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

    def _plan_comparison(self, now_ms: int) -> None:
        """Up to ``complete_through`` a whole scan stands behind the answer, above it none does."""
        session = self._session
        proved = session.holdings.proof.complete_through
        low = session.since or 0
        if proved is not None:
            low = max(low, proved + 1 - OVERLAP_MS)
        low = max(low, session.holdings.floor_ms)
        through = self._complete_through()
        if through is not None and through >= low:
            self._to_compare.append(RangeRequest("verify", low, through, scanned=True))
            low = through + 1
        top = now_ms + AHEAD_MS
        if low <= top:
            self._to_compare.append(RangeRequest("verify", low, top, scanned=False))

    def _complete_through(self) -> int | None:
        """How far scans reached before the lines were asked for that are all here now."""
        scanned, session = self._scanned, self._session
        if scanned is None or scanned.epoch != session.epoch or scanned.head_seq > session.after:
            return None
        return scanned.complete_through

    def _compare(self, request: RangeRequest) -> Ask | None:
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
        return Ask("digest", f"/v1/digest?{query.encode()}", query, request)

    def _on_digest(self, ask: Ask, reply: DigestBody, now_ms: int) -> list[Effect]:
        session, query, request = self._session, ask.query, ask.request
        assert isinstance(query, DigestQuery), "a digest was asked for"
        assert request is not None, "for a request"
        seen: set[int] = set()
        if request.kind == "repair" and self._repairing is not None:
            seen = self._repairing[1]
        self._repairing = None
        self._to_compare = self._to_compare[1:]
        if not self._is_about(query, reply):
            return []
        claim = ClaimedTotal(reply.from_, reply.through, reply.seq, reply.count, reply.digest)
        judged = session.holdings.compare_answer(request, claim, seen, session.generation)
        effects = list(judged.effects)
        for more in judged.requests:
            if not self._brings:
                effects += session.request_range(more, now_ms)
            else:
                self._to_compare.insert(0, more)
        if self._to_compare and self._to_compare[0].kind == "repair":
            self._repairing = (self._to_compare[0], set(), None)
        return effects

    def _is_about(self, query: DigestQuery, reply: DigestBody) -> bool:
        """Whether a digest is of the journal, the position and the range asked about [14]."""
        asked = (query.seq, query.from_, query.through)
        same = reply.epoch in (None, query.epoch)  # left out: another epoch would be a 409
        return same and asked == (reply.seq, reply.from_, reply.through)

    # Repairing, in display order

    def _again(self, request: RangeRequest, after: str | None) -> Ask | None:
        if after == _ALL:
            return self._compare(request)
        query = LogsQuery(since=request.from_, through=request.through, next=after)
        return self._logs("again", query, request)

    def _on_again(self, page: LogsPage, now_ms: int) -> list[Effect]:
        session = self._session
        assert self._repairing is not None, "a repair was asked for"
        request, seen, _ = self._repairing
        if page.epoch != session.epoch:
            self.stop()
            return []
        base = session.holdings.tally.base
        items = [item for item in page.items if item.seq > base]
        effects = session.store_items(items, now_ms, live=False)
        seen.update(session.holdings.keys_of(items))
        self._repairing = (request, seen, _ALL if page.next is None else page.next)
        return effects

    def _logs(self, kind: Kind, query: LogsQuery, request: RangeRequest | None = None) -> Ask:
        session = self._session
        query = msgspec.structs.replace(query, group=session.group, filter=session.event_filter)
        return Ask(kind, f"/v1/logs?{query.encode()}", query, request)


def _executions(body: bytes) -> list[ExecutionSummary]:
    """Nothing where a forwarder says it in words of its own, which the protocol leaves to it."""
    try:
        return decode_body(body, list[ExecutionSummary])
    except WireError:
        return []


def _refusal(answer: Answer) -> str:
    try:
        why = decode_body(answer.body, HttpError).error
    except WireError:
        why = "not by a forwarder"
    return f"HTTP {answer.status}: {why[:200]}"


class PollListener(Protocol):
    """Whom polling tells what happens."""

    async def polled(self, effects: list[Effect]) -> None:
        """An answer was taken in."""

    def round_ended(self, failure: str | None, *, brought: bool) -> None:
        """A round is over: why it broke off, if it did; whether it was to bring lines."""


class Polling:
    """The rounds of one target.

    Args:
        plan: What to ask.
        getter: Asks.
        listener: Whom to tell.
        now_ms: The clock that events are stamped by.

    """

    def __init__(
        self,
        plan: PollPlan,
        getter: Getter,
        listener: PollListener,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        """Create what ``run`` runs."""
        self._plan = plan
        self._getter = getter
        self._listener = listener
        self._now_ms = now_ms
        self._now = asyncio.Event()

    def poll_now(self) -> None:
        """Begin a round without waiting: no WebSocket can be had."""
        self._now.set()

    async def run(self) -> None:
        """Poll until this is cancelled."""
        while True:
            try:
                async with asyncio.timeout(POLL_MS / 1000):
                    await self._now.wait()
            except TimeoutError:
                pass
            self._now.clear()
            await self.round()

    async def round(self) -> None:
        """One round of questions."""
        plan = self._plan
        plan.begin(self._now_ms())
        brings, failure = plan.is_bringing, None
        try:
            while (ask := plan.next()) is not None:
                status, body = await self._getter.get(ask.target)
                effects = plan.answered(ask, Answer(status, body), self._now_ms())
                await self._listener.polled(effects)
        except (HttpFailure, PollError) as error:
            failure = str(error)
        finally:
            plan.stop()
        self._listener.round_ended(failure, brought=brings)
