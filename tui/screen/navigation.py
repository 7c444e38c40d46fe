"""Going to a time or a bookmark, and setting bookmarks."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Final

from tui.client import saved
from tui.client.refetch import OlderLines
from tui.lines.rows import Line, Row, time_key
from tui.lines.view import View
from tui.render import units
from tui.render.panel_text import palette_title
from tui.render.units import MomentError, parse_moment
from tui.screen.ports import RunExclusively, ShowMessage
from tui.screen.widgets.log_view import LogView

BOOKMARKS_MAX: Final = 500
"""More than anybody would find again in a list."""


class Bookmarks:
    """A sorted set of row keys, so that a bookmark stays on its line wherever that moves.

    Beyond the bound, the newest of an earlier run's bookmarks are kept.
    """

    def __init__(self, keys: Iterable[int] = ()) -> None:
        self._keys = sorted(set(keys))[-BOOKMARKS_MAX:]
        self._set = set(self._keys)

    def __contains__(self, key: int) -> bool:
        return key in self._set

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def keys(self) -> tuple[int, ...]:
        """All keys, ascending."""
        return tuple(self._keys)

    @property
    def is_full(self) -> bool:
        """Whether no further bookmark can be set."""
        return len(self._keys) >= BOOKMARKS_MAX

    def toggle(self, key: int) -> bool:
        """Set or remove a bookmark; returns whether it is set now. Check ``is_full`` before."""
        if key in self._set:
            self._set.remove(key)
            del self._keys[bisect_left(self._keys, key)]
            return False
        assert not self.is_full, "the caller checks is_full before it sets a bookmark"
        self._set.add(key)
        insort(self._keys, key)
        return True

    def after(self, key: int) -> list[int]:
        """All keys, from the first above ``key`` on, wrapping around at the end."""
        at = bisect_right(self._keys, key)
        return [*self._keys[at:], *self._keys[:at]]


class Navigation:
    """Moves the cursor to a time or a bookmark, and keeps the bookmarks.

    Args:
        bookmarks: The bookmarks that the widget marks.
        path: File that keeps the bookmarks for the next run; None keeps none.
        now: The time in ms, and the zone that times are shown in.
        older: Fetches lines from before the first one.
    """

    def __init__(
        self,
        view: View,
        log: LogView,
        bookmarks: Bookmarks,
        path: Path | None,
        show: ShowMessage,
        run: RunExclusively,
        now: Callable[[], tuple[int, tzinfo]],
        older: OlderLines,
    ) -> None:
        self.bookmarks = bookmarks
        self._view = view
        self._log = log
        self._path = path
        self._show = show
        self._run = run
        self._now = now
        self._older = older

    # The oldest line

    def to_beginning(self) -> None:
        """Go to the oldest line that is here, and to the oldest one that there is once it is."""
        self._go_to_oldest()
        self._older.fetch_from(0, partial(self._go_on, self._log.place.cursor))

    def _go_on(self, cursor: int | None) -> None:
        """Go to the oldest line, unless the cursor was moved meanwhile."""
        if self._log.place.cursor == cursor:
            self._go_to_oldest()

    def _go_to_oldest(self) -> None:
        oldest = self._view.timeline.oldest_line
        if oldest is not None and self._view.timeline.evicted_at(oldest) is not None:
            self._log.go_to(oldest)
        else:
            self._log.go_to_top()

    # Times

    def check(self, text: str) -> str | None:
        """Validate a typed time; returns what is wrong with it, or None."""
        try:
            self._parse(text)
        except MomentError as error:
            return str(error)
        return None

    def to_time(self, text: str) -> None:
        """Go to the first line at or after a typed time that passed ``check``."""
        self._run(partial(self._go_to, self._parse(text)), "move cursor")

    def to_moment(self, at_ms: int) -> None:
        """Go to the first line at or after a time in ms, without any message."""
        self._run(partial(self._go_to, at_ms, quiet=True), "move cursor")

    def _parse(self, text: str) -> int:
        now_ms, zone = self._now()
        row = None if self._log.place.following else self._log.current()
        return parse_moment(text, near_ms=now_ms if row is None else row.timestamp, zone=zone)

    async def _go_to(self, at_ms: int, *, quiet: bool = False) -> None:
        # Among rows that the filters have not reached yet, the cursor would land in a wrong place.
        while self._log.filter_slice():  # noqa: ASYNC110 - it is the work that is repeated
            await asyncio.sleep(0)
        rows = len(self._view)
        if not rows:
            self._show("there are no lines yet")
            return
        index = self._view.index_of(time_key(at_ms))
        self._log.go_to(time_key(at_ms))
        if not quiet and self._older.fetch_from(at_ms, partial(self.to_moment, at_ms)):
            return
        if quiet or self._view.timeline.evicted_at(time_key(at_ms)) is not None:
            return  # evicted lines are fetched first, and the cursor goes there once they are back
        _, zone = self._now()
        if index == rows:
            last = self._view.rows(rows - 1, rows)[0]
            self._show(f"the newest line here is from {units.stamp(last.timestamp, zone)[:19]}")
        elif index == 0:
            first = self._view.rows(0, 1)[0]
            self._show(f"the oldest line here is from {units.stamp(first.timestamp, zone)[:19]}")

    # Bookmarks

    def toggle_bookmark(self) -> None:
        """Set a bookmark on the line under the cursor, or remove it."""
        row = self._log.current()
        if not isinstance(row, Line):
            self._show("there is no line here to bookmark")
            return
        if self.bookmarks.is_full and row.key not in self.bookmarks:
            self._show(f"at most {BOOKMARKS_MAX} bookmarks: m on one removes it")
            return
        is_set = self.bookmarks.toggle(row.key)
        self._log.redraw()
        self._show("bookmark set: ' goes to the next one" if is_set else "bookmark removed")
        self._save()

    def next_bookmark(self) -> None:
        """Go to the next bookmark below, and from the last one to the first."""
        if not len(self.bookmarks):
            self._show("there are no bookmarks: m sets one")
            return
        cursor = self._log.place.cursor
        after = self.bookmarks.after(-1 if cursor is None else cursor)
        evicted_at = self._view.timeline.evicted_at  # an evicted line is shown once refetched
        reachable = [key for key in after if self._find(key) or evicted_at(key)]
        if not reachable:
            count = units.plural(len(self.bookmarks), "bookmark")
            self._show(f"{count}: hidden by filters, or older than these lines")
            return
        self._log.go_to(reachable[0])
        number = sorted(reachable).index(reachable[0]) + 1
        self._show(f"bookmark {number} of {len(reachable)}")

    def list_bookmarks(self) -> list[tuple[str, int]]:
        """Titles and keys of the bookmarks whose lines are shown, for the command menu."""
        _, zone = self._now()
        found = [(key, self._find(key)) for key in self.bookmarks.keys]
        return [
            (f"Bookmark {units.stamp(row.timestamp, zone)[:19]} {palette_title(row.message)}", key)
            for key, row in found
            if isinstance(row, Line)
        ]

    def _find(self, key: int) -> Row | None:
        at = self._view.index_of(key)
        rows = self._view.rows(at, at + 1)
        return rows[0] if rows and rows[0].key == key else None

    def _save(self) -> None:
        if self._path is None:
            return
        try:
            saved.save_bookmarks(self._path, self.bookmarks.keys)
        except OSError as error:
            self._show(f"cannot save the bookmarks: {error.strerror}")
