"""Going to a time or to a bookmark, and setting bookmarks.

Lines that the reader marked, by their keys, so that they stay on them whatever comes. Pure.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Final

from tui.client import saved
from tui.lines.rows import Line, Row, time_key
from tui.lines.view import View
from tui.render import units
from tui.render.panel_text import title
from tui.render.units import MomentError, parse_moment
from tui.screen.search import Run, Say
from tui.screen.widgets.log_view import LogView

BOOKMARKS_MAX: Final = 500
"""More than anybody finds again in a list."""


class Bookmarks:
    """A sorted set of keys.

    Args:
        keys: Those of an earlier run, in any order; beyond the bound the newest are taken.

    """

    def __init__(self, keys: Iterable[int] = ()) -> None:
        """Begin with some."""
        self._keys = sorted(set(keys))[-BOOKMARKS_MAX:]
        self._set = set(self._keys)

    def __contains__(self, key: int) -> bool:
        """Whether a line is marked."""
        return key in self._set

    def __len__(self) -> int:
        """How many there are."""
        return len(self._keys)

    @property
    def keys(self) -> tuple[int, ...]:
        """All of them, ascending."""
        return tuple(self._keys)

    @property
    def is_full(self) -> bool:
        """Whether no further one can be set."""
        return len(self._keys) >= BOOKMARKS_MAX

    def toggle(self, key: int) -> bool:
        """Set or take off; whether it is set now."""
        if key in self._set:
            self._set.remove(key)
            del self._keys[bisect_left(self._keys, key)]
            return False
        assert not self.is_full, "whoever sets one asks before"
        self._set.add(key)
        insort(self._keys, key)
        return True

    def after(self, key: int) -> list[int]:
        """All of them, beginning with the first above ``key`` and going round at the end."""
        at = bisect_right(self._keys, key)
        return [*self._keys[at:], *self._keys[:at]]


class Going:
    """Moves the reader to a place that was named or marked."""

    def __init__(
        self,
        view: View,
        log: LogView,
        bookmarks: Bookmarks,
        keep: Path | None,
        say: Say,
        run: Run,
        now: Callable[[], tuple[int, tzinfo]],
    ) -> None:
        """Nothing is done yet.

        Args:
            view: the rows that are shown.
            log: shows them.
            bookmarks: what the log shows as marked.
            keep: the file in which bookmarks are kept; None: nowhere.
            say: tells the reader something, for a while.
            run: runs a coroutine under a name, ending the one of that name before.
            now: the time in ms, and the zone that times are shown in.

        """
        self.bookmarks = bookmarks
        self._view = view
        self._log = log
        self._keep = keep
        self._say = say
        self._run = run
        self._now = now

    def mistake(self, text: str) -> str | None:
        """What is wrong with a time that was typed; None where nothing is."""
        try:
            self._moment(text)
        except MomentError as error:
            return str(error)
        return None

    def to_time(self, text: str) -> None:
        """Go to the first line at or after a time that ``mistake`` found nothing wrong with."""
        self._run(partial(self._to, self._moment(text)), "hunt")

    def to_moment(self, at_ms: int) -> None:
        """Go to the first line at or after a time in ms; nothing is said."""
        self._run(partial(self._to, at_ms, quiet=True), "hunt")

    def toggle(self) -> None:
        """Set a bookmark on the line under the cursor, or take it off."""
        row = self._log.current()
        if not isinstance(row, Line):
            self._say("there is no line here to mark")
            return
        if self.bookmarks.is_full and row.key not in self.bookmarks:
            self._say(f"{BOOKMARKS_MAX} bookmarks are the most: m on one takes it off")
            return
        is_set = self.bookmarks.toggle(row.key)
        self._log.forget()
        self._say("bookmark set: ' goes from one to the next" if is_set else "bookmark taken off")
        self._save()

    def next_bookmark(self) -> None:
        """Go to the next bookmark below, and from the last to the first."""
        if not len(self.bookmarks):
            self._say("there are no bookmarks: m sets one")
            return
        cursor = self._log.place.cursor
        after = self.bookmarks.after(-1 if cursor is None else cursor)
        shown = [key for key in after if self._is_reachable(key)]
        if not shown:
            count = units.plural(len(self.bookmarks), "bookmark")
            self._say(f"{count}: behind the filters, or older than what is here")
            return
        self._log.go_to(shown[0])
        at = sorted(shown).index(shown[0]) + 1
        self._say(f"bookmark {at} of {len(shown)}")

    def listed(self) -> list[tuple[str, int]]:
        """The bookmarks of lines that are shown, as titles for the palette, with their keys."""
        _, zone = self._now()
        found = [(key, self._find(key)) for key in self.bookmarks.keys]
        return [
            (f"Bookmark {units.stamp(row.timestamp, zone)[:19]} {title(row.message)}", key)
            for key, row in found
            if isinstance(row, Line)
        ]

    def _is_reachable(self, key: int) -> bool:
        """Whether the line is shown, or will be once it is back in memory."""
        return self._find(key) is not None or self._view.timeline.evicted_at(key) is not None

    def _find(self, key: int) -> Row | None:
        at = self._view.index_of(key)
        rows = self._view.rows(at, at + 1)
        return rows[0] if rows and rows[0].key == key else None

    def _save(self) -> None:
        if self._keep is None:
            return
        try:
            saved.save_bookmarks(self._keep, self.bookmarks.keys)
        except OSError as error:
            self._say(f"the bookmarks can't be kept for the next run: {error.strerror}")

    def _moment(self, text: str) -> int:
        now_ms, zone = self._now()
        row = None if self._log.place.following else self._log.current()
        return parse_moment(text, near_ms=now_ms if row is None else row.timestamp, zone=zone)

    async def _to(self, at_ms: int, *, quiet: bool = False) -> None:
        # A place among rows that a filter has not gone over yet would be a wrong one.
        while self._log.step():  # noqa: ASYNC110 - it is the work that is repeated
            await asyncio.sleep(0)
        rows = len(self._view)
        if not rows:
            self._say("there are no lines yet")
            return
        index = self._view.index_of(time_key(at_ms))
        self._log.go_to(time_key(at_ms))
        if quiet or self._view.timeline.evicted_at(time_key(at_ms)) is not None:
            return  # in the second case it goes there again once the lines are back
        _, zone = self._now()
        if index == rows:
            last = self._view.rows(rows - 1, rows)[0]
            self._say(f"the newest line here is of {units.stamp(last.timestamp, zone)[:19]}")
        elif index == 0:
            first = self._view.rows(0, 1)[0]
            self._say(f"the oldest line here is of {units.stamp(first.timestamp, zone)[:19]}")
