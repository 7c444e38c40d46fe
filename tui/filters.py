"""What the reader wants to see: chips that take in or leave out, and a least level. Pure."""

from __future__ import annotations

import re
from typing import Final

from tui.levels import LEVELS, at_least, level_of
from tui.rows import Line
from tui.view import Test

CHIPS_MAX: Final = 20
"""Filters at a time: more would not fit on any screen."""


def pattern_of(text: str) -> re.Pattern[str]:
    """What the reader typed, as a regular expression, or as plain text where it is none.

    Upper and lower case are the same unless there is an upper-case letter in it (smart case,
    as in less -i and lnav).
    """
    flags = re.NOFLAG if any(char.isupper() for char in text) else re.IGNORECASE
    try:
        return re.compile(text, flags)
    except re.error:
        return re.compile(re.escape(text), flags)


class Chip:
    """One filter, and how many of the lines gone over match it."""

    def __init__(self, text: str, *, excludes: bool) -> None:
        """A filter for what matches ``text``, or against it."""
        self.text = text
        self.excludes = excludes
        self.pattern = pattern_of(text)
        self.hits = 0


class Filters:
    """All chips, which must all let a line pass, and the least level."""

    def __init__(self) -> None:
        """Everything passes."""
        self.chips: list[Chip] = []
        self.minimum = LEVELS[0]
        self.are_on = True

    @property
    def is_any(self) -> bool:
        """Whether there is a filter at all, on or off."""
        return bool(self.chips) or self.minimum != LEVELS[0]

    def add(self, text: str, *, excludes: bool) -> None:
        """One more chip, and all of them on; beyond ``CHIPS_MAX`` the oldest goes."""
        same = [chip for chip in self.chips if (chip.text, chip.excludes) == (text, excludes)]
        if not same:
            self.chips = [*self.chips, Chip(text, excludes=excludes)][-CHIPS_MAX:]
        self.are_on = True

    def remove(self, index: int) -> None:
        """One chip less."""
        del self.chips[index : index + 1]

    def clear(self) -> None:
        """Everything passes."""
        self.chips = []
        self.minimum = LEVELS[0]
        self.are_on = True

    def test(self, *, counting: bool = True) -> Test | None:
        """What a line must pass; None where all do.

        Args:
            counting: count the hits of each chip, from none.

        """
        if counting:
            for chip in self.chips:
                chip.hits = 0
        if not (self.is_any and self.are_on):
            return None
        chips, minimum = tuple(self.chips), self.minimum
        all_levels = minimum == LEVELS[0]

        def passes(line: Line) -> bool:
            message = line.message
            kept = all_levels or at_least(level_of(message), minimum)
            for chip in chips:
                if chip.pattern.search(message) is not None:
                    chip.hits += counting
                    kept = kept and not chip.excludes
                elif not chip.excludes:
                    kept = False
            return kept

        return passes
