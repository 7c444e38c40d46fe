"""Search, filters and level navigation, in slices so that keys are answered in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from common.patterns import Pattern, PatternError
from tui.lines.counts import LineCounter
from tui.lines.expressions import Expression, Text, complete, parse_expression
from tui.lines.filters import Filters
from tui.lines.levels import LEVELS
from tui.lines.matching import GroupName, highlight_of, seen_fields, test_of
from tui.lines.rows import Change, Line
from tui.lines.timeline import Timeline
from tui.lines.view import (
    CONTEXT_AMOUNTS,
    AllTests,
    BlockTest,
    Found,
    LevelTest,
    MatchingRows,
    View,
    find_in_timeline,
    find_in_view,
)
from tui.render import units
from tui.render.safe_text import harmless
from tui.render.status_text import Chunk
from tui.screen.ports import RunExclusively, ShowMessage
from tui.screen.widgets.log_view import LogView
from tui.screen.widgets.prompt import Kind

_PATTERN_CHARS: Final = 16

_SEEN_ROWS: Final = 400
"""Rows whose fields are proposed: they are parsed within a few milliseconds."""


class _Searched:
    """What is searched for."""

    def __init__(self, text: str, group_name: GroupName) -> None:
        expression: Expression = parse_expression(text)
        self.text = text
        self.test = test_of(expression, group_name)
        self.highlight = highlight_of(expression)


class Search:
    """The expression that is searched for, the filters, and the way to the next match.

    ``group_name`` returns the log group of a target.
    """

    def __init__(
        self,
        timeline: Timeline,
        view: View,
        log: LogView,
        show: ShowMessage,
        run: RunExclusively,
        group_name: GroupName,
    ) -> None:
        self.filters = Filters(group_name)
        self.generation = 0
        """How often the filters have changed."""
        self._timeline = timeline
        self._view = view
        self._log = log
        self._show = show
        self._run = run
        self._group_name = group_name
        self._searched: _Searched | None = None
        self._matches: MatchingRows | None = None
        self._tally: LineCounter | None = None
        self._context_lines = CONTEXT_AMOUNTS[0]

    def apply(self, change: Change) -> None:
        """Bring the match and filter counts up to a change of the timeline."""
        for count in (self._matches, self._tally):
            if count is not None:
                count.apply(change)

    # Searching

    def preview(self, kind: Kind, text: str) -> None:
        """Highlight the matches of a search that is being typed."""
        if kind == "search":
            with suppress(PatternError):  # the prompt shows what is wrong
                typed = highlight_of(parse_expression(text)) if text else self._highlight
                self._log.highlight(typed)

    @property
    def _highlight(self) -> Pattern | None:
        return None if self._searched is None else self._searched.highlight

    def check(self, text: str) -> str | None:
        """What is wrong with an expression, or None."""
        try:
            parse_expression(text)
        except PatternError as error:
            return str(error)
        return None

    def completion(self) -> Callable[[str], str | None]:
        """Completes names and values of the fields that are seen around the cursor."""
        cursor = self._log.place.cursor
        end = len(self._view) if cursor is None else self._view.index_of(cursor) + _SEEN_ROWS // 2
        rows = self._view.rows(max(0, min(end, len(self._view)) - _SEEN_ROWS), end)
        fields = seen_fields(row for row in rows if isinstance(row, Line))
        return lambda text: complete(text, fields)

    def submit(self, kind: Kind, text: str | None) -> None:
        """Search or filter for what was entered in the prompt; None means Esc."""
        try:
            if kind == "search":
                self._search(text)
            elif text:
                self.filters.add(text, excludes=kind == "exclude")
                self.refilter()
        except PatternError as error:
            self._log.highlight(self._highlight)
            self._show(harmless(str(error)))

    def match_count(self) -> list[Chunk]:
        """Number of the match under the cursor, and of all: ``/timeout 3/128``."""
        if self._searched is None or self._matches is None:
            return []
        text = harmless(self._searched.text)
        short = text if len(text) <= _PATTERN_CHARS else f"{text[: _PATTERN_CHARS - 1]}…"
        keys = self._matches.keys
        total = units.number(len(keys)) + ("" if self._matches.is_done else "+")
        cursor = self._log.place.cursor
        if cursor is not None and self._matches.has(cursor):
            total = f"{units.number(self._matches.index_of(cursor) + 1)}/{total}"
        parts = ((f"/{short} ", "muted"), (total, "text" if keys else "warn"))
        return [Chunk(parts, 1, "app.search")]

    def go_to_match(self, direction: int, *, here: bool = False) -> None:
        """Go to the next (1) or previous (-1) match; ``here``: the cursor's row counts, too."""
        if self._searched is None:
            self._show("nothing to search for: / starts a search")
            return
        self._find_next(self._searched.test, direction, "match", here=here)

    def go_to_level(self, level: str, direction: int) -> None:
        """Go to the next (1) or previous (-1) line of a level or above."""
        self._find_next(LevelTest(level), direction, {"warn": "warning"}.get(level, level))

    def clear(self) -> bool:
        """Clear the search, or else the filters; returns False if there was neither."""
        if self._searched is not None:
            self._search("")
            return True
        if self.filters.has_any:
            self.filters.clear()
            self.refilter()
            return True
        return False

    def _search(self, text: str | None) -> None:
        if text is not None:
            self._searched = _Searched(text, self._group_name) if text else None
            self._count_matches()
        self._log.highlight(self._highlight)
        if text:
            self._show("")  # the message of an earlier search
            self.go_to_match(-1 if self._log.place.following else 1, here=True)

    def _count_matches(self) -> None:
        """Count the matches among the rows that pass the filters, from the start."""
        if self._searched is None:
            self._matches = None
            return
        matches, keep = self._searched.test, self.filters.test(counting=False)
        test = matches if keep is None else AllTests(matches, keep)
        self._matches = MatchingRows(self._timeline, test, rules=False)
        self._run(self._test_rows, "filter rows")

    def _find_next(self, test: BlockTest, direction: int, what: str, *, here: bool = False) -> None:
        row = self._log.current()
        if row is None:
            self._show(f"no {what}: there are no lines yet")
            return
        here = here or (self._log.place.following and direction < 0)
        start = row.key + (1 if (direction > 0) != here else 0)
        self._run(partial(self._go_to_next, test, direction, start, what), "move cursor")

    async def _go_to_next(self, test: BlockTest, direction: int, start: int, what: str) -> None:
        at: int | None = start
        while at is not None:
            found, at = self._find_in_slice(test, direction, at)
            if found is not None:
                await self._wait_until_shown(found)
                self._log.go_to(found)
                if self._searched is not None and test is self._searched.test:
                    self._log.reveal_match()
                return
            await asyncio.sleep(0)
        evicted = self._timeline.evicted
        rest = f"; {units.plural(evicted, 'line')} not in memory not searched" if evicted else ""
        self._show(f"no {what} {'below' if direction > 0 else 'above'}{rest}")

    def _find_in_slice(self, test: BlockTest, direction: int, start: int) -> Found:
        """Search one slice of what passes the filters, whether they have reached it or not."""
        keep = self.filters.test(counting=False)
        if keep is None:
            return find_in_timeline(self._timeline, start, direction, test)
        if self._context_lines:  # the view has rows that do not pass the filters, too
            return find_in_view(self._view, start, direction, test)
        return find_in_timeline(self._timeline, start, direction, AllTests(test, keep))

    async def _wait_until_shown(self, key: int) -> None:
        """Filter on until the view contains a row that was found."""
        while (rows := self._view.matching) is not None and not rows.has(key):
            if not self._log.filter_slice():
                return
            await asyncio.sleep(0)

    # Filtering

    def add_filters(
        self,
        include: Sequence[str],
        exclude: Sequence[str],
        level: str | None,
        context_lines: int = 0,
    ) -> None:
        """Add the filters of the command line, and its context lines around matches."""
        self._context_lines = context_lines
        for texts, excludes in ((include, False), (exclude, True)):
            for text in texts:
                self.filters.add(text, excludes=excludes)
        self.filters.minimum_level = level or self.filters.minimum_level
        self.refilter()

    def filter_by_value(self, value: Expression, *, excludes: bool) -> None:
        """Show only lines that have a value, or only those that have not."""
        self.filters.add(value, excludes=excludes)
        self.refilter()

    def toggle_pattern(self, text: str, *, excludes: bool) -> None:
        """Show only the lines of a pattern, or hide them; or undo that."""
        self.filters.toggle_pattern(text, excludes=excludes)
        self.refilter()

    def toggle_request(self, request: str | None) -> None:
        """Show only lines that contain a request's id, or all again."""
        if request is None:
            self._show("no request id here")
            return
        text = str(Text(request))
        known = [at for at, one in enumerate(self.filters.chips) if one.text == text]
        if known:
            self.filters.remove(known[0])
        else:
            self.filters.add(Text(request), excludes=False)
        self.refilter()

    def set_minimum_level(self, number: int) -> None:
        """Show only lines of a level and above; 1 is all."""
        self.filters.minimum_level = LEVELS[number - 1]
        self.filters.are_enabled = True
        self.refilter()

    def remove_filter(self, index: int) -> None:
        """Remove the filter of one chip."""
        self.filters.remove(index)
        self.refilter()

    def toggle_filters(self) -> None:
        """Switch all filters off, or on again."""
        if not self.filters.has_any:
            self._show("no filters: f and x add some")
            return
        self.filters.are_enabled = not self.filters.are_enabled
        self.refilter()

    def cycle_context_lines(self) -> None:
        """Show more context lines around matches, or none again."""
        more = (one for one in CONTEXT_AMOUNTS if one > self._context_lines)
        self._context_lines = next(more, CONTEXT_AMOUNTS[0])
        text = f"{self._context_lines or 'no'} context lines around matches"
        if self.filters.has_any and self.filters.are_enabled:
            self._show(text)
            self._log.show_matching(self.filters.test(), self._context_lines)
            self._run(self._test_rows, "filter rows")
        else:
            self._show(f"{text}, once a filter is on")

    def refilter(self) -> None:
        """Show and count what passes the filters as they are now."""
        self.generation += 1
        self._log.show_matching(self.filters.test(), self._context_lines)
        tally = self.filters.counting_test()
        self._tally = None if tally is None else LineCounter(self._timeline, tally)
        self._count_matches()
        self._run(self._test_rows, "filter rows")

    def recount(self) -> None:
        """Count again, after a replay that went back has taken lines out."""
        self.generation += 1
        if self.filters.has_any:
            self.refilter()
        else:
            self._count_matches()

    async def _test_rows(self) -> None:
        """Test older and older rows, slice by slice, until all have been."""
        is_done = False
        while not is_done:
            others = [count.step() for count in (self._matches, self._tally) if count is not None]
            is_done = not self._log.filter_slice() and not any(others)
            await asyncio.sleep(0)
