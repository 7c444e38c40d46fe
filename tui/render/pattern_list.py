"""Patterns as rows of a list: columns, order, and words for what is new or gone. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Final, Literal

import msgspec

from tui.lines.counts import PatternSummary
from tui.lines.levels import LEVELS, level_named
from tui.lines.patterns import WILDCARD
from tui.render import units
from tui.render.safe_text import Segment, harmless

Order = Literal["count", "newest"]
"""By number of lines, or by time of the first line; the highest or newest first."""

ORDERS: Final[tuple[Order, ...]] = ("count", "newest")

WIDE_CELLS: Final = 110
"""Width from which on the times of the first and last line have columns."""

_SPARK_CELLS: Final = 10
_SPARK_CELLS_WIDE: Final = 24
_COUNT_CELLS: Final = 9
_LEVEL_CELLS: Final = 6
_MARK_CELLS: Final = 5
_SHARE_CELLS: Final = 6

Choice = Literal["only", "hidden", ""]
"""What the filters say about a pattern."""

_MARK_ROLES: Final = {"new": "warn", "gone": "accent", "only": "accent", "hidden": "muted"}
_MARK_WORDS: Final = {"hidden": "hid"}


class PatternTable(msgspec.Struct, frozen=True):
    """What all rows of the list have in common.

    Attributes:
        lines: Number of all lines.
        step_ms: Length of the buckets of time.
        span_ms: Times of the first and the last line of all.
        since_ms: Moment since when patterns are new or gone; None: not known yet.
        zone: Zone of the times.
        choice: What the filters say about the pattern of a text.
    """

    lines: int
    step_ms: int
    span_ms: tuple[int, int]
    since_ms: int | None
    zone: tzinfo
    choice: Callable[[str], Choice]

    def mark(self, pattern: PatternSummary) -> str:
        """The word for a pattern: ``only`` or ``hidden`` by the filters, ``new``, ``gone``."""
        choice = self.choice(pattern.text)
        if choice or self.since_ms is None:
            return choice
        return pattern.mark(self.since_ms, self.span_ms[1])

    def row(
        self, pattern: PatternSummary, cells: int, shift: int = 0, *, ascii_only: bool = False
    ) -> list[Segment]:
        """One row of the list.

        Args:
            pattern: The pattern.
            cells: Width of the list.
            shift: Characters of the pattern that were scrolled away.
            ascii_only: Whether the sparkline must be ASCII.
        """
        is_wide = cells >= WIDE_CELLS
        mark = self.mark(pattern)
        level = pattern.main_level() or ""
        role = f"level.{level}" if level else "muted"
        spark_cells = _SPARK_CELLS_WIDE if is_wide else _SPARK_CELLS
        volume = pattern.volume(self.step_ms, self.span_ms, spark_cells)
        top = max(volume) * 8  # bars of seven eighths at most: those of two rows must not touch
        spark = "".join(units.bar(7 * value, top, ascii_only=ascii_only) for value in volume)
        share = _share(pattern.count, self.lines)
        segments: list[Segment] = [
            (_MARK_WORDS.get(mark, mark).ljust(_MARK_CELLS), _MARK_ROLES.get(mark, "text")),
            (units.number(pattern.count).rjust(_COUNT_CELLS), "text"),
            (f"{share.rjust(_SHARE_CELLS)} ", "muted"),
            (f"{spark} ", _spark_role(level)),
        ]
        if is_wide:
            times = (units.clock(one, self.zone) for one in (pattern.first_ms, pattern.last_ms))
            segments.append((f"{' '.join(times)} ", "time"))
        segments.append((level.ljust(_LEVEL_CELLS), role))
        text = shown_pattern(pattern.text)[shift:]
        return [*segments, *pattern_segments(text, "muted" if mark == "hidden" else "text")]

    def details(self, pattern: PatternSummary) -> str:
        """First and last time of a pattern, and its lines by level."""
        span = units.span(pattern.first_ms, pattern.last_ms, self.zone)
        levels = [
            f"{units.number(pattern.levels[level])} {level}"
            for level in reversed(LEVELS)
            if pattern.levels[level]
        ]
        if levels and pattern.levels[None]:
            levels.append(f"{units.number(pattern.levels[None])} without level")
        return " · ".join([span, ", ".join(levels)] if levels else [span])


def ordered(patterns: Sequence[PatternSummary], order: Order) -> list[PatternSummary]:
    """Patterns in an order; equal ones by their text, so that rows do not swap places."""
    if order == "count":
        return sorted(patterns, key=lambda one: (-one.count, one.text))
    return sorted(patterns, key=lambda one: (-one.first_ms, one.text))


def shown_pattern(text: str) -> str:
    """A pattern without what precedes its first word: times, brackets and the level."""
    tokens = text.split(" ")
    for at, token in enumerate(tokens):
        word = token.strip("[]():<>|")
        is_bracketed = token[:1] in "[(<" and token[-1:] in "])>:"
        is_said = any(map(str.isalpha, word)) and not is_bracketed and level_named(word) is None
        if is_said or (word and not tokens[at + 1 :]):
            return harmless(" ".join(tokens[at:]))
    return harmless(text) or "(empty)"


def pattern_segments(text: str, role: str) -> list[Segment]:
    """A pattern with its wildcards in another colour."""
    parts: list[Segment] = []
    for at, words in enumerate(text.split(WILDCARD)):
        parts += [(WILDCARD, "key" if role == "text" else role)] if at else []
        parts += [(words, role)] if words else []
    return parts


def _share(count: int, lines: int) -> str:
    percent = 100 * count / lines if lines else 0.0
    return f"{percent:.0f}%" if percent >= 10 else f"{percent:.1f}%"  # noqa: PLR2004 - two digits


def _spark_role(level: str) -> str:
    return {"warn": "bar.warn", "error": "bar.error", "fatal": "bar.error"}.get(level, "bar.line")
