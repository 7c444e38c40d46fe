"""What the reader wants to see: chips that take in or leave out, streams, a least level. Pure."""

from __future__ import annotations

import re
from typing import Final

from tui.levels import LEVELS, at_least, level_of
from tui.rows import Line
from tui.values import Value
from tui.view import HintedTest, Test, hint_of

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

    def __init__(self, what: str | Value, *, excludes: bool) -> None:
        """A filter for lines that match a text or have a value, or against them."""
        self.what = what
        self.excludes = excludes
        self.hits = 0
        if isinstance(what, str):
            self.text = what
            pattern = pattern_of(what)
            search = pattern.search
            self.matches: Test = lambda line: search(line.message) is not None
            self.hint = None if excludes else hint_of(pattern)
        else:
            self.text, self.hint = what.text, None
            self.matches = what.matches


class Filters:
    """All chips, which must all let a line pass, the streams, and the least level."""

    def __init__(self) -> None:
        """Everything passes."""
        self.chips: list[Chip] = []
        self.minimum = LEVELS[0]
        self.only: frozenset[str] = frozenset()
        """Streams that alone are shown; empty: all but the hidden ones."""
        self.hidden: frozenset[str] = frozenset()
        """Streams that are not shown."""
        self.are_on = True

    @property
    def is_any(self) -> bool:
        """Whether there is a filter at all, on or off."""
        return bool(self.chips) or self.chooses_streams or self.minimum != LEVELS[0]

    @property
    def chooses_streams(self) -> bool:
        """Whether lines of some streams are left out."""
        return bool(self.only or self.hidden)

    def shows_stream(self, name: str) -> bool:
        """Whether lines of a stream are shown, as far as the stream goes."""
        return name in self.only if self.only else name not in self.hidden

    def switch_stream(self, name: str) -> None:
        """Show a stream, or hide it."""
        if self.only:
            self.only ^= {name}
        else:
            self.hidden ^= {name}
        self.are_on = True

    def only_stream(self, name: str) -> None:
        """Show one stream alone; all of them, where it was alone already."""
        self.only = frozenset() if self.only == {name} else frozenset({name})
        self.hidden = frozenset()
        self.are_on = True

    def all_streams(self) -> None:
        """Show all streams."""
        self.only = self.hidden = frozenset()

    def add(self, what: str | Value, *, excludes: bool) -> None:
        """One more chip, and all of them on; beyond ``CHIPS_MAX`` the oldest goes."""
        same = [chip for chip in self.chips if (chip.what, chip.excludes) == (what, excludes)]
        if not same:
            self.chips = [*self.chips, Chip(what, excludes=excludes)][-CHIPS_MAX:]
        self.are_on = True

    def remove(self, index: int) -> None:
        """One chip less."""
        del self.chips[index : index + 1]

    def clear(self) -> None:
        """Everything passes."""
        self.chips = []
        self.minimum = LEVELS[0]
        self.all_streams()
        self.are_on = True

    def test(self, *, counting: bool = True) -> Test | None:
        """What a line must pass; None where all do.

        Args:
            counting: count the hits of each chip, from none.

        """
        if counting:
            for chip in self.chips:
                chip.hits = 0
        return self._passes(counting=counting) if self.is_any and self.are_on else None

    def tally(self) -> Test | None:
        """Counts the hits of each chip, from none, while all are off; None where they are on."""
        if self.are_on or not self.chips:
            return None
        for chip in self.chips:
            chip.hits = 0
        return self._passes(counting=True)

    def _passes(self, *, counting: bool) -> Test:
        chips, minimum = tuple(self.chips), self.minimum
        all_levels, all_streams = minimum == LEVELS[0], not self.chooses_streams
        shows_stream = self.shows_stream

        def passes(line: Line) -> bool:
            kept = all_levels or at_least(level_of(line.message), minimum)
            kept = kept and (all_streams or shows_stream(line.stream))
            for chip in chips:
                if chip.matches(line):
                    chip.hits += counting
                    kept = kept and not chip.excludes
                elif not chip.excludes:
                    kept = False
            return kept

        # Where hits are counted, only a chip that is alone sees all of its own.
        hints = [] if counting and len(chips) > 1 else [one.hint for one in chips if one.hint]
        return HintedTest(passes, hints[0]) if hints else passes
