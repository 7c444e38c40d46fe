"""Lines on demand: evicted ones again, over HTTP, and older history, over the connection.

``RangeRefetch`` plans one target's requests and is pure; ``LineRefetcher`` fetches the lines that
a reader comes near. An event that the viewer was never sent is left out: only the connection may
deliver it, so that comparisons still notice if it does not.

``OlderPlan`` decides how far back to fetch next and is pure; ``OlderLines`` asks the sessions, and
keeps the rule that says what is here. History is fetched downwards, piece by piece, so everything
from the rule on is complete.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

from common.http import HttpFailure, Response
from tui.client.connection import HttpGetter
from tui.client.session import ViewerSession
from tui.lines.rows import RULE_TARGET, Change, Line, Row, Rule, rule_key, time_of
from tui.lines.timeline import FAILED, FETCHING, EvictedRange, Timeline
from wire.codec import decode_body
from wire.errors import WireError
from wire.messages import HttpError, LogsPage
from wire.query import LogsQuery

LINES_MAX: Final = 10_000
"""Lines fetched at once from each target: those of one page."""

PAGES_MAX: Final = 100
"""Pages fetched for one range: pages may be empty where the filter leaves out all events."""

NEAR_ROWS: Final = 200
"""A reader this many rows from evicted lines has them fetched."""

RETRY_MS: Final = 5_000
"""Wait after a failure before lines that are still on screen are requested again."""


STEP_MS: Final = 3_600_000
"""History fetched at once: what a reader who scrolls up is likely to look at."""

STEP_LEAST_MS: Final = 60_000
"""The shortest piece, for log groups where an hour has millions of lines."""

FAST_MS: Final = 2_000
SLOW_MS: Final = 10_000
"""A piece that came faster makes the next one twice as long, a slower one half as long: so a walk
through quiet years needs few pieces, and Esc never waits long for the present one."""

RULE_MS: Final = 500
"""Interval between changes of the rule while lines come."""


_DAY_MS: Final = 86_400_000


class RefetchError(Exception):
    """The lines can't be fetched now; the text is the reason in one line."""


class RangeRefetch:
    """Fetches one target's lines of a key range, both ends included, page by page. Pure.

    Attributes:
        lines: The lines so far, ascending.
        through: The last key that was reached where the range has more; None where it is done.
    """

    def __init__(self, session: ViewerSession, low: int, high: int) -> None:
        self.lines: list[Line] = []
        self.through: int | None = None
        self._session = session
        self._low = low
        self._high = high
        self._next: str | None = None
        self._pages = 0
        self._is_over = False

    def next_target(self) -> str | None:
        """Return path and query of the next request; None at the end.

        Raises:
            RefetchError: The range has too many pages.
        """
        if self._is_over:
            return None
        if self._pages >= PAGES_MAX:
            msg = f"the forwarder sent {PAGES_MAX} pages without reaching the end"
            raise RefetchError(msg)
        self._pages += 1
        query = LogsQuery(
            group=self._session.group,
            filter=self._session.event_filter,
            since=time_of(self._low),
            through=time_of(self._high),
            next=self._next,
        )
        return f"/v1/logs?{query.encode()}"

    def take_response(self, response: Response) -> None:
        """Add the lines of a page.

        Raises:
            RefetchError: The request was refused, or the response is not one of the protocol.
        """
        try:
            if response.status != HTTPStatus.OK:
                raise RefetchError(decode_body(response.body, HttpError).error[:200])
            page = decode_body(response.body, LogsPage)
            lines = self._session.holdings.refetched_lines(page.items, self._session.after)
        except WireError as error:
            raise RefetchError(str(error)) from error
        self.lines += [line for line in lines if self._low <= line.key <= self._high]
        self._next = page.next
        if page.next is None:
            self._is_over = True
        elif len(self.lines) >= LINES_MAX:
            self._is_over = True
            # Other targets may have lines of the same millisecond and id: their keys follow.
            self.through = self.lines[-1].key | RULE_TARGET


class RefetchSource(NamedTuple):
    """A target's session, and the HTTP client to fetch its lines with."""

    session: ViewerSession
    getter: HttpGetter


class LineRefetcher:
    """Fetches evicted ranges of the timeline from all targets, one at a time. A shell.

    Args:
        sources: The targets, any of which may have lines in a range.
        on_change: Called with each change of the timeline.
        now_ms: A monotonic clock.
    """

    def __init__(
        self,
        timeline: Timeline,
        sources: Sequence[RefetchSource],
        on_change: Callable[[Change], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._timeline = timeline
        self._sources = list(sources)
        self._on_change = on_change
        self._now_ms = now_ms
        self._task: asyncio.Task[None] | None = None
        self._failed_ms = -RETRY_MS
        self._wanted: tuple[int, Callable[[], None]] | None = None  # once the present fetch is over

    def add_source(self, source: RefetchSource) -> None:
        """Fetch from a target that has joined, too."""
        self._sources.append(source)

    def fetch_visible(self, rows: Sequence[Row], cursor: int | None, *, is_filtered: bool) -> None:
        """Fetch what is evicted among or near the rows on screen, given from top to bottom.

        ``cursor`` is the key under the cursor; None while following the newest line. Of filtered
        rows only the range under the cursor is fetched: a filter that passes little would fetch the
        whole history.
        """
        if not rows:
            return
        low, high = rows[0].key, rows[-1].key
        self._timeline.pin_around(low, high)
        if cursor is None or not self._timeline.evicted:
            return
        evicted = self._timeline.evicted_at(cursor)
        if evicted is None and not is_filtered:
            evicted = self._timeline.evicted_near(low, high, NEAR_ROWS)
        if evicted is not None:
            self._start(evicted)

    def fetch_at(self, key: int, then: Callable[[], None] | None = None) -> None:
        """Fetch the evicted range at a key, if there is one; ``then`` is called once it is here.

        While another range is being fetched, this one waits for it.
        """
        self._wanted = None
        evicted = self._timeline.evicted_at(key)
        if evicted is None:
            return
        if self._is_busy and then is not None:
            self._wanted = key, then
        self._start(evicted, then)

    async def fetch_range(self, low: int, high: int) -> tuple[list[Line], int | None]:
        """Return the lines of a key range from all targets, ascending; the timeline stays.

        Returns:
            The lines, and the last key that they reach where the range has more.

        Raises:
            RefetchError: The lines can't be fetched now.
        """
        fetches = [(one.getter, RangeRefetch(one.session, low, high)) for one in self._sources]
        try:
            for getter, fetch in fetches:
                while (target := fetch.next_target()) is not None:
                    fetch.take_response(await getter.get(target))
        except HttpFailure as error:
            raise RefetchError(str(error)) from error
        ends = [fetch.through for _, fetch in fetches if fetch.through is not None]
        through = min(ends, default=None)
        lines = [line for _, fetch in fetches for line in fetch.lines]
        if through is not None:
            lines = [line for line in lines if line.key <= through]
        return sorted(lines, key=lambda line: line.key), through

    async def stop(self) -> None:
        """Cancel the fetch that runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def _is_busy(self) -> bool:
        return self._task is not None and not self._task.done()

    def _start(self, evicted: EvictedRange, then: Callable[[], None] | None = None) -> None:
        """Start a fetch, unless one runs or has just failed."""
        if self._is_busy or self._now_ms() - self._failed_ms < RETRY_MS:
            return
        self._on_change(self._timeline.set_fetch_state(evicted, FETCHING))
        self._task = asyncio.create_task(self._fetch(evicted, then))

    async def _fetch(self, evicted: EvictedRange, then: Callable[[], None] | None) -> None:
        low = max(evicted.low, evicted.first)
        try:
            lines, through = await self.fetch_range(low, evicted.high)
        except RefetchError as error:
            self._failed_ms = self._now_ms()
            self._on_change(self._timeline.set_fetch_state(evicted, FAILED, str(error)))
            return
        evicted.state = ""
        self._on_change(self._timeline.restore(evicted, lines, through))
        if then is not None:
            then()
        if self._wanted is not None:
            asyncio.get_running_loop().call_soon(self.fetch_at, *self._wanted)


class HistoryStart(NamedTuple):
    """How far back one target's history is here.

    Attributes:
        requested_ms: The start that was asked for.
        complete_ms: Everything from here on is here; None while nothing is.
        is_done: Whether all that was asked for is here, and CloudWatch was read for it.
        oldest_ms: Time before which CloudWatch has nothing; None if unknown.
        retention_ms: How long CloudWatch keeps events; None: for ever, or unknown.
    """

    requested_ms: int
    complete_ms: int | None
    is_done: bool
    oldest_ms: int | None = None
    retention_ms: int | None = None


class OlderPlan:
    """Decides which history to ask for next. Pure; times are ms since the Unix epoch.

    Attributes:
        goal_ms: The time to reach; None while nothing more was asked for.
        is_to_beginning: Whether the goal is the oldest line that there is.
    """

    def __init__(self) -> None:
        self.goal_ms: int | None = None
        self.is_to_beginning = False
        self._is_for_lines = False
        self._lines = 0
        self._step_ms = STEP_MS
        self._began_ms: int | None = None

    @property
    def is_active(self) -> bool:
        """Whether more history is being fetched, or will be."""
        return self.goal_ms is not None or self._began_ms is not None

    def ask_for_lines(self, starts: Sequence[HistoryStart], lines: int) -> None:
        """Ask for the piece before the present start, and on until it has any line.

        ``lines`` is the number of lines that are here now.
        """
        if not self.is_active and starts:
            self._step_ms = STEP_MS
            self.goal_ms = max(0, self.start_of(starts) - STEP_MS)
            self._is_for_lines, self._lines = True, lines

    def ask_from(self, at_ms: int) -> None:
        """Ask for everything from a time on; 0 stands for the beginning."""
        self.goal_ms = at_ms if self.goal_ms is None else min(self.goal_ms, at_ms)
        self.is_to_beginning = at_ms == 0
        self._is_for_lines = False

    def cancel(self) -> bool:
        """Ask for nothing beyond the present piece; returns whether anything was left."""
        was_active = self.goal_ms is not None
        self.goal_ms, self.is_to_beginning, self._is_for_lines = None, False, False
        return was_active

    def next_starts(
        self, starts: Sequence[HistoryStart], lines: int, now_ms: int
    ) -> list[int] | None:
        """The start to ask each target for now; None: nothing more at present.

        Args:
            starts: How far back each target's history is.
            lines: Number of lines that are here.
            now_ms: A monotonic clock.
        """
        if not starts or not all(one.is_done for one in starts):
            return None
        if self._began_ms is not None:
            self._learn(now_ms - self._began_ms)
            self._began_ms = None
        from_ms = self.start_of(starts)
        if self._is_for_lines and self.goal_ms is not None and lines == self._lines:
            self.goal_ms = min(self.goal_ms, max(0, from_ms - self._step_ms))
        if self.goal_ms is None or from_ms <= self.goal_ms:
            self.cancel()
            return None
        next_ms = max(self.goal_ms, from_ms - self._step_ms, 0)
        self._began_ms = now_ms
        return [min(one.requested_ms, _clamped(next_ms, one.oldest_ms)) for one in starts]

    @staticmethod
    def start_of(starts: Sequence[HistoryStart]) -> int:
        """The time from which on every target's history was asked for."""
        return max(one.requested_ms for one in starts)

    def _learn(self, took_ms: int) -> None:
        if took_ms < FAST_MS:
            self._step_ms *= 2
        elif took_ms > SLOW_MS:
            self._step_ms = max(STEP_LEAST_MS, self._step_ms // 2)


def _clamped(at_ms: int, oldest_ms: int | None) -> int:
    """A start, or 0 where CloudWatch has nothing before it: so the beginning is proved, too."""
    return 0 if oldest_ms is not None and at_ms <= oldest_ms else at_ms


def beginning_text(starts: Sequence[HistoryStart]) -> str:
    """The text for the oldest line of all: why there is nothing before it."""
    kept = {one.retention_ms for one in starts}
    longest = max((one for one in kept if one is not None), default=None)
    groups = "the log group" if len(starts) == 1 else f"the {len(starts)} log groups"
    text = f"beginning of {groups}: CloudWatch has nothing older"
    if longest is None or None in kept:
        return text
    days = longest // _DAY_MS
    return f"{text} (it keeps events for {days} {'day' if days == 1 else 'days'})"


class OlderLines:
    """Fetches older history for the screen, from all targets together. A shell.

    Args:
        timeline: Where the rule stands.
        sessions: Returns the sessions of the targets that count.
        extend: Asks one session for history from a time on.
        on_change: Called with each change of the timeline.
        rule_number: The number of the rule, which no other one has.
        now_ms: A monotonic clock.
    """

    def __init__(
        self,
        timeline: Timeline,
        sessions: Callable[[], Sequence[ViewerSession]],
        extend: Callable[[ViewerSession, int], None],
        on_change: Callable[[Change], None],
        rule_number: int,
        now_ms: Callable[[], int],
    ) -> None:
        self._timeline = timeline
        self._sessions = sessions
        self._extend = extend
        self._on_change = on_change
        self._rule_number = rule_number
        self._now_ms = now_ms
        self._plan = OlderPlan()
        self._rule: Rule | None = None
        self._ruled_ms = -RULE_MS
        self._before = 0
        self._then: list[Callable[[], None]] = []

    @property
    def is_fetching(self) -> bool:
        """Whether older history is being fetched."""
        return self._plan.is_active

    @property
    def progress(self) -> str:
        """What is being fetched, in one line; empty while nothing is."""
        if not self._plan.is_active or self._rule is None:
            return ""
        goal = "to the beginning" if self._plan.is_to_beginning else ""
        return " ".join(filter(None, ("fetching older lines", goal)))

    @property
    def is_at_beginning(self) -> bool:
        """Whether the history is here from the oldest event on."""
        starts = self._starts()
        return bool(starts) and all(one.is_done and one.requested_ms == 0 for one in starts)

    def fetch_more(self) -> None:
        """Fetch the hour before the present start, or as much more as brings any line."""
        if self.is_at_beginning:
            self._show_beginning()
            return
        self._plan.ask_for_lines(self._starts(), self._lines)
        self.update()

    def fetch_from(self, at_ms: int, then: Callable[[], None] = lambda: None) -> bool:
        """Fetch everything from a time on; ``then`` is called once it is here.

        Returns:
            Whether anything has to be fetched.
        """
        starts = self._starts()
        if not starts or self.is_at_beginning or OlderPlan.start_of(starts) <= at_ms:
            self._show_beginning()
            return False
        self._plan.ask_from(at_ms)
        self._then.append(then)
        self.update()
        return True

    def cancel(self) -> bool:
        """Fetch nothing beyond the present piece; returns whether more was to come."""
        self._then.clear()
        return self._plan.cancel()

    def update(self) -> None:
        """Ask for the next piece once the present one is here; keep the rule up to date."""
        if self._plan.is_active:
            self._advance()

    def _advance(self) -> None:
        known = [one for one in self._sessions() if one.requested_since is not None]
        starts = self._starts()
        following = self._plan.next_starts(starts, self._lines, self._now_ms())
        if following is not None:
            if self._rule is None or self._rule.state != FETCHING:
                self._before = self._lines
            for session, since in zip(known, following, strict=True):
                self._extend(session, since)
            starts = self._starts()
        is_due = self._now_ms() - self._ruled_ms >= RULE_MS
        if is_due or following is not None or not self._plan.is_active:
            self._put_rule(starts)
        if not self._plan.is_active:
            then, self._then = self._then, []
            for callback in then:
                callback()

    @property
    def _lines(self) -> int:
        return self._timeline.lines + self._timeline.evicted

    def _show_beginning(self) -> None:
        if self.is_at_beginning:
            self._put_rule(self._starts())

    def _starts(self) -> list[HistoryStart]:
        return [start for one in self._sessions() if (start := _start(one)) is not None]

    def _put_rule(self, starts: Sequence[HistoryStart]) -> None:
        """Put the rule where everything below it is here."""
        self._ruled_ms = self._now_ms()
        known = [one.complete_ms for one in starts if one.complete_ms is not None]
        if not known:
            return
        from_ms = max(known)
        state, reason = "", ""
        oldest = self._timeline.oldest_line
        at_ms = from_ms if oldest is None else max(from_ms, time_of(oldest))
        if self._plan.is_active:
            state = FETCHING
        elif self.is_at_beginning:
            state, reason = "beginning", beginning_text(starts)
            from_ms = at_ms
        rule = Rule(
            key=rule_key(max(0, at_ms - 1), self._rule_number),
            kind="older",
            target=None,
            from_ms=OlderPlan.start_of(starts) if state == FETCHING else from_ms,
            through_ms=from_ms,
            state=state,
            reason=reason,
            count=self._lines - self._before if state == FETCHING else None,
        )
        before, self._rule = self._rule, rule
        if rule != before:
            self._on_change(self._timeline.move_rule(None if before is None else before.key, rule))


def _start(session: ViewerSession) -> HistoryStart | None:
    requested_ms = session.requested_since
    if requested_ms is None:
        return None
    proof, upstream = session.holdings.proof, session.report.upstream
    # A poll brings what the forwarder has, which may still be reading: marks show when it has.
    is_done = session.is_backfilled and (session.is_welcomed or proof.complete_through is not None)
    return HistoryStart(
        requested_ms,
        session.complete_from,
        is_done,
        None if upstream is None else upstream.oldest,
        None if upstream is None else upstream.retention_ms,
    )
