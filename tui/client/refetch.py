"""Lines that are not in memory, asked for again over HTTP: one target's part of a piece. Pure.

They come in by no side door: an event that the viewer was never sent is left to the connection,
and to the comparisons, which would miss it.

Brings lines back to the timeline when somebody reads where they are missing. A shell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final, Protocol

from common.http import HttpFailure
from tui.client.connection import Getter
from tui.client.session import ViewerSession
from tui.lines.rows import RULE_TARGET, Change, Line, Row, time_of
from tui.lines.timeline import FAILED, FETCHING, EvictedRange, Timeline
from wire.codec import decode_body
from wire.errors import WireError
from wire.messages import HttpError, LogsPage
from wire.query import LogsQuery

LINES_MAX: Final = 10_000
"""Lines asked for at once, of each target: those of a page."""

PAGES_MAX: Final = 100
"""Pages of one question: a page may be empty where the filter leaves out all that is on it."""


class RecallError(Exception):
    """The lines can't be had now; the text is one line for a person."""


class Recall:
    """Asks page by page.

    Args:
        session: The target's.
        low: The first key asked for.
        high: The last one.

    """

    def __init__(self, session: ViewerSession, low: int, high: int) -> None:
        """Nothing has been asked yet."""
        self._session = session
        self._low = low
        self._high = high
        self._next: str | None = None
        self._pages = 0
        self._is_over = False
        self.lines: list[Line] = []
        self.through: int | None = None
        """The last key that has come, where there is more; None where everything is here."""

    def next(self) -> str | None:
        """Path and query to ask for; None at the end.

        Raises:
            RecallError: too many pages.

        """
        if self._is_over:
            return None
        if self._pages >= PAGES_MAX:
            msg = f"{PAGES_MAX} pages were not all of it"
            raise RecallError(msg)
        self._pages += 1
        query = LogsQuery(
            group=self._session.group,
            filter=self._session.event_filter,
            since=time_of(self._low),
            through=time_of(self._high),
            next=self._next,
        )
        return f"/v1/logs?{query.encode()}"

    def answered(self, status: int, body: bytes) -> None:
        """Take in an answer.

        Raises:
            RecallError: it is none, or says no.

        """
        try:
            if status != HTTPStatus.OK:
                raise RecallError(decode_body(body, HttpError).error[:200])
            page = decode_body(body, LogsPage)
            found = self._session.holdings.refetched_lines(page.items, self._session.after)
        except WireError as error:
            raise RecallError(str(error)) from error
        self.lines += [line for line in found if self._low <= line.key <= self._high]
        self._next = page.next
        if page.next is None:
            self._is_over = True
        elif len(self.lines) >= LINES_MAX:
            self._is_over = True
            # Of all targets that have an event of that id in that millisecond.
            self.through = self.lines[-1].key | RULE_TARGET


NEAR_ROWS: Final = 200
"""So many rows before the reader reaches what is missing, it is asked for."""

RETRY_MS: Final = 5_000
"""After so long what failed is asked for again, if it is still being looked at."""


class FetchError(Exception):
    """Lines can't be had again now; the text is one line for a person."""


class Source(Protocol):
    """A target, as far as lines are fetched from it."""

    session: ViewerSession
    getter: Getter


class Fetching:
    """One piece at a time.

    Args:
        timeline: Where lines are missing.
        sources: Where they are to be had, all of which a piece may have lines of.
        tell: Hears of each change of the timeline.
        now_ms: A clock that never jumps.

    """

    def __init__(
        self,
        timeline: Timeline,
        sources: Sequence[Source],
        tell: Callable[[Change], None],
        now_ms: Callable[[], int],
    ) -> None:
        """Nothing is being fetched."""
        self._timeline = timeline
        self._sources = sources
        self._tell = tell
        self._now_ms = now_ms
        self._task: asyncio.Task[None] | None = None
        self._failed_ms = -RETRY_MS

    def look(self, rows: Sequence[Row], cursor: int | None, *, sifted: bool) -> None:
        """Somebody looks at these rows: fetch what is missing there, or near.

        Args:
            rows: What is on the screen, top to bottom.
            cursor: The key under the cursor; None while following the newest.
            sifted: Whether rows in between are left out: then only what the cursor stands on is
                fetched, or a filter that lets little pass would fetch everything there ever was.

        """
        if not rows:
            return
        low, high = rows[0].key, rows[-1].key
        self._timeline.pin_around(low, high)
        if cursor is None or not self._timeline.evicted:
            return
        piece = self._timeline.evicted_at(cursor)
        if piece is None and not sifted:
            piece = self._timeline.evicted_near(low, high, NEAR_ROWS)
        if piece is not None:
            self.fetch(piece)

    def fetch(self, piece: EvictedRange, then: Callable[[], None] | None = None) -> None:
        """Fetch a piece, unless something is being fetched, or has just failed.

        Args:
            piece: What is not in memory.
            then: Called once it is.

        """
        is_busy = self._task is not None and not self._task.done()
        if is_busy or self._now_ms() - self._failed_ms < RETRY_MS:
            return
        self._tell(self._timeline.set_fetch_state(piece, FETCHING))
        self._task = asyncio.create_task(self._fetch(piece, then))

    def fetch_at(self, key: int, then: Callable[[], None] | None = None) -> None:
        """Fetch what is missing at a key, if anything is."""
        piece = self._timeline.evicted_at(key)
        if piece is not None:
            self.fetch(piece, then)

    async def stop(self) -> None:
        """Fetch no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _fetch(self, piece: EvictedRange, then: Callable[[], None] | None) -> None:
        try:
            lines, through = await recalled(self._sources, max(piece.low, piece.first), piece.high)
        except FetchError as error:
            self._failed_ms = self._now_ms()
            self._tell(self._timeline.set_fetch_state(piece, FAILED, str(error)))
            return
        piece.state = ""
        self._tell(self._timeline.restore(piece, lines, through))
        if then is not None:
            then()


async def recalled(sources: Sequence[Source], low: int, high: int) -> tuple[list[Line], int | None]:
    """The lines of a range that is not in memory, ascending, from all targets.

    Args:
        sources: The targets.
        low: The first key asked for.
        high: The last one.

    Returns:
        The lines, and the last key that they reach to, where they are only the beginning.

    Raises:
        FetchError: they can't be had now.

    """
    asked = [(source, Recall(source.session, low, high)) for source in sources]
    try:
        for source, recall in asked:
            await _all_pages(source.getter, recall)
    except (HttpFailure, RecallError) as error:
        raise FetchError(str(error)) from error
    ends = [recall.through for _, recall in asked if recall.through is not None]
    through = min(ends) if ends else None
    return _merged([recall.lines for _, recall in asked], through), through


async def _all_pages(getter: Getter, recall: Recall) -> None:
    while (target := recall.next()) is not None:
        recall.answered(*await getter.get(target))


def _merged(parts: Sequence[Sequence[Line]], through: int | None) -> list[Line]:
    lines = [line for part in parts for line in part if through is None or line.key <= through]
    return sorted(lines, key=lambda line: line.key)
