"""Searching, filtering and hunting for levels, slice by slice, never holding up a key."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Final

from tui.lines.counts import LineCounter
from tui.lines.filters import Filters, Value, search_pattern
from tui.lines.find_next import Found, LevelTest, find_in_timeline, find_in_view
from tui.lines.rows import LEVELS, Change
from tui.lines.timeline import Timeline
from tui.lines.view import CONTEXT_AMOUNTS, BlockTest, BothTests, MatchingRows, TextTest, View
from tui.render import units
from tui.render.safe_text import harmless
from tui.render.status_text import Chunk
from tui.screen.widgets.log_view import LogView
from tui.screen.widgets.prompt import Kind

_PATTERN_CHARS: Final = 16

Say = Callable[[str], None]
Run = Callable[[Callable[[], Coroutine[None, None, None]], str], None]


class Finding:
    """What the reader looks for, and in what."""

    def __init__(self, timeline: Timeline, view: View, log: LogView, say: Say, run: Run) -> None:
        """Nothing is looked for, everything is shown.

        Args:
            timeline: all rows.
            view: the rows that are shown.
            log: shows them.
            say: tells the reader something, for a while.
            run: runs a coroutine under a name, ending the one of that name before.

        """
        self.filters = Filters()
        self._timeline = timeline
        self._view = view
        self._log = log
        self._say = say
        self._run = run
        self._pattern: re.Pattern[str] | None = None
        self._matches: MatchingRows | None = None
        self._tally: LineCounter | None = None
        self._around = CONTEXT_AMOUNTS[0]
        self.generation = 0
        """How often the filters changed."""

    @property
    def is_searching(self) -> bool:
        """Whether matches are marked."""
        return self._pattern is not None

    def apply(self, change: Change) -> None:
        """Take in what happened to the timeline."""
        for one in (self._matches, self._tally):
            if one is not None:
                one.apply(change)

    def count(self) -> list[Chunk]:
        """Which match the cursor is on, and how many there are: ``/timeout 3/128``."""
        if self._pattern is None or self._matches is None:
            return []
        text = harmless(self._pattern.pattern)
        short = text if len(text) <= _PATTERN_CHARS else f"{text[: _PATTERN_CHARS - 1]}…"
        keys = self._matches.keys
        total = units.number(len(keys)) + ("" if self._matches.is_done else "+")
        cursor = self._log.place.cursor
        if cursor is not None and self._matches.has(cursor):
            total = f"{units.number(self._matches.index_of(cursor) + 1)}/{total}"
        role = "text" if keys else "warn"
        parts = ((f"/{short} ", "muted"), (total, role))
        return [Chunk(parts, 1, "app.search")]

    def typed(self, kind: Kind, text: str) -> None:
        """Mark matches while they are typed."""
        if kind == "search":
            self._log.highlight(search_pattern(text) if text else self._pattern)

    def answered(self, kind: Kind, text: str | None) -> None:
        """Enter or Esc in the prompt."""
        if kind == "search":
            self._search(text)
        elif text:
            self.filters.add(text, excludes=kind == "exclude")
            self.refilter()

    def _search(self, text: str | None) -> None:
        if text is not None:
            self._pattern = search_pattern(text) if text else None
            self._count_anew()
        self._log.highlight(self._pattern)
        if text:
            self.next_match(-1 if self._log.place.following else 1, here=True)

    def next_match(self, direction: int, *, here: bool = False) -> None:
        """Go to the next match; ``here``: the row under the cursor counts too."""
        pattern = self._pattern
        if pattern is None:
            self._say("nothing is searched for: / begins")
            return
        self._hunt(TextTest(pattern), direction, "match", here=here)

    def next_level(self, level: str, direction: int) -> None:
        """Go to the next line of a level or above."""
        self._hunt(LevelTest(level), direction, {"warn": "warning"}.get(level, level))

    def set_level(self, number: int) -> None:
        """Show only a level (1 is all) and above."""
        self.filters.minimum_level = LEVELS[number - 1]
        self.filters.are_enabled = True
        self.refilter()

    def begin_with(self, include: Sequence[str], exclude: Sequence[str], level: str | None) -> None:
        """The filters that the viewer was started with."""
        for texts, excludes in ((include, False), (exclude, True)):
            for text in texts:
                self.filters.add(text, excludes=excludes)
        self.filters.minimum_level = level or self.filters.minimum_level
        self.refilter()

    def toggle(self) -> None:
        """All filters off, or on again."""
        if not self.filters.has_any:
            self._say("there are no filters: f and x make them")
            return
        self.filters.are_enabled = not self.filters.are_enabled
        self.refilter()

    def next_around(self) -> None:
        """More rows around what passes the filters, or none again."""
        self._around = CONTEXT_AMOUNTS[
            (CONTEXT_AMOUNTS.index(self._around) + 1) % len(CONTEXT_AMOUNTS)
        ]
        rows = f"{self._around} rows around each line" if self._around else "no rows around lines"
        if self.filters.has_any and self.filters.are_enabled:
            self._say(f"{rows} that passes the filters")
            self._log.select(self.filters.test(), self._around)
            self._run(self._sift, "sift")
        else:
            self._say(f"{rows}, once a filter is on")

    def by_value(self, value: Value, *, excludes: bool) -> None:
        """Show only lines that have a value, or only those that have not."""
        self.filters.add(value, excludes=excludes)
        self.refilter()

    def drop(self, index: int) -> None:
        """One chip less."""
        self.filters.remove(index)
        self.refilter()

    def clear(self) -> bool:
        """Take back the search, or else the filters; whether there was anything."""
        if self.is_searching:
            self._search("")
            return True
        if self.filters.has_any:
            self.filters.clear()
            self.refilter()
            return True
        return False

    def refilter(self) -> None:
        """The filters are others: show what passes them."""
        self.generation += 1
        self._log.select(self.filters.test(), self._around)
        tally = self.filters.counting_test()
        self._tally = None if tally is None else LineCounter(self._timeline, tally)
        self._count_anew()
        self._run(self._sift, "sift")

    def _count_anew(self) -> None:
        pattern = self._pattern
        if pattern is None:
            self._matches = None
            return
        found, keep = TextTest(pattern), self.filters.test(counting=False)
        test = found if keep is None else BothTests(found, keep)
        self._matches = MatchingRows(self._timeline, test, rules=False)
        self._run(self._sift, "sift")

    async def _sift(self) -> None:
        """Go over older and older rows, with room for everything else between two slices."""
        while self._step():  # noqa: ASYNC110 - it is the work that is repeated, not a question
            await asyncio.sleep(0)

    def _step(self) -> bool:
        others = [one.step() for one in (self._matches, self._tally) if one is not None]
        return self._log.step() or any(others)

    def _hunt(self, test: BlockTest, direction: int, what: str, *, here: bool = False) -> None:
        row = self._log.current()
        if row is None:
            self._say(f"no {what}: there are no lines yet")
            return
        here = here or (self._log.place.following and direction < 0)
        start = row.key + (1 if (direction > 0) != here else 0)
        self._run(partial(self._go_to_next, test, direction, start, what), "hunt")

    async def _go_to_next(self, test: BlockTest, direction: int, start: int, what: str) -> None:
        at: int | None = start
        while at is not None:
            found, at = self._look(test, direction, at)
            if found is not None:
                await self._until_shown(found)
                self._log.go_to(found)
                return
            await asyncio.sleep(0)
        gone = self._timeline.evicted
        rest = f", {units.plural(gone, 'line')} not in memory not searched" if gone else ""
        self._say(f"no {what} {'below' if direction > 0 else 'above'}{rest}")

    def _look(self, test: BlockTest, direction: int, start: int) -> Found:
        """One slice of a hunt through what passes the filters, sifted yet or not."""
        keep = self.filters.test(counting=False)
        if keep is None:
            return find_in_timeline(self._timeline, start, direction, test)
        if self._around:  # other rows are shown, too
            return find_in_view(self._view, start, direction, test)
        return find_in_timeline(self._timeline, start, direction, BothTests(test, keep))

    async def _until_shown(self, key: int) -> None:
        """Let the filters come to a row that was found."""
        while (sieve := self._view.matching) is not None and not sieve.has(key):
            if not self._log.step():
                return
            await asyncio.sleep(0)
