"""Context lines of output: the lines before and after those that match, as in grep. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tui.lines.rows import Line
from tui.output.ordering import PrintedLine


class ContextLine(NamedTuple):
    """A line to print with its context.

    Attributes:
        printed: The line.
        is_match: Whether it matches, or is a context line.
        follows_gap: Whether lines between the one printed before and this one are left out.
    """

    printed: PrintedLine
    is_match: bool = True
    follows_gap: bool = False


class ContextFilter:
    """Passes the lines that match, and lines around them, in the order in which they are printed.

    Args:
        before: Number of lines before each match.
        after: Number of lines after each match.
        is_shown: Whether a line may be printed at all, as context too.
        matches: Whether a line matches.
    """

    def __init__(
        self,
        before: int,
        after: int,
        *,
        is_shown: Callable[[Line], bool],
        matches: Callable[[Line], bool],
    ) -> None:
        self._after = after
        self._is_shown = is_shown
        self._matches = matches
        self._held: deque[PrintedLine] = deque(maxlen=before)
        self._left = 0
        """Context lines that the last match still wants."""
        self._has_printed = False
        self._has_skipped = False

    def take(self, lines: Iterable[PrintedLine]) -> Iterator[ContextLine]:
        """Pass the next lines."""
        for one in lines:
            if not self._is_shown(one.line):
                continue
            if self._matches(one.line):
                for held in self._held:
                    yield self._passed(held, is_match=False)
                self._held.clear()
                yield self._passed(one, is_match=True)
                self._left = self._after
            elif self._left:
                self._left -= 1
                yield self._passed(one, is_match=False)
            else:
                self._has_skipped |= len(self._held) == self._held.maxlen
                self._held.append(one)

    def _passed(self, one: PrintedLine, *, is_match: bool) -> ContextLine:
        follows_gap = self._has_printed and self._has_skipped
        self._has_printed, self._has_skipped = True, False
        return ContextLine(one, is_match, follows_gap)
