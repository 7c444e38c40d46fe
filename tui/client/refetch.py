"""Refetching: brings evicted lines back from the forwarder, over HTTP.

``RangeRefetch`` plans one target's requests and is pure; ``LineRefetcher`` fetches the lines that
a reader comes near. An event that the viewer was never sent is left out: only the connection may
deliver it, so that comparisons still notice if it does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

from common.http import HttpFailure, Response
from tui.client.connection import HttpGetter
from tui.client.session import ViewerSession
from tui.lines.rows import RULE_TARGET, Change, Line, Row, time_of
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
        """Fetch the evicted range at a key, if there is one; ``then`` is called once it is here."""
        evicted = self._timeline.evicted_at(key)
        if evicted is not None:
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

    def _start(self, evicted: EvictedRange, then: Callable[[], None] | None = None) -> None:
        """Start a fetch, unless one runs or has just failed."""
        is_busy = self._task is not None and not self._task.done()
        if is_busy or self._now_ms() - self._failed_ms < RETRY_MS:
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
