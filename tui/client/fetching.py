"""Brings lines back to the timeline when somebody reads where they are missing. A shell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from tui.client.http import Getter, HttpFailure
from tui.client.refetch import Recall, RecallError
from tui.client.session import ViewerSession
from tui.lines.gone import FAILED, FETCHING, Piece
from tui.lines.rows import Change, Line, Row
from tui.lines.timeline import Timeline

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
        self._timeline.read_near(low, high)
        if cursor is None or not self._timeline.evicted:
            return
        piece = self._timeline.gone_at(cursor)
        if piece is None and not sifted:
            piece = self._timeline.gone_near(low, high, NEAR_ROWS)
        if piece is not None:
            self.fetch(piece)

    def fetch(self, piece: Piece, then: Callable[[], None] | None = None) -> None:
        """Fetch a piece, unless something is being fetched, or has just failed.

        Args:
            piece: What is not in memory.
            then: Called once it is.

        """
        is_busy = self._task is not None and not self._task.done()
        if is_busy or self._now_ms() - self._failed_ms < RETRY_MS:
            return
        self._tell(self._timeline.note(piece, FETCHING))
        self._task = asyncio.create_task(self._fetch(piece, then))

    def fetch_at(self, key: int, then: Callable[[], None] | None = None) -> None:
        """Fetch what is missing at a key, if anything is."""
        piece = self._timeline.gone_at(key)
        if piece is not None:
            self.fetch(piece, then)

    async def stop(self) -> None:
        """Fetch no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _fetch(self, piece: Piece, then: Callable[[], None] | None) -> None:
        try:
            lines, through = await recalled(self._sources, max(piece.low, piece.first), piece.high)
        except FetchError as error:
            self._failed_ms = self._now_ms()
            self._tell(self._timeline.note(piece, FAILED, str(error)))
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
