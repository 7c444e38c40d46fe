"""The rows of a recording in the order in which they came, and which of them a moment shows. Pure.

A moment shows the lines that had arrived, and the rules as they were then. Moving from one moment
to another, in either direction and in any number of steps, ends with the same rows.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Final, Literal, NamedTuple

from tui.lines.rows import Line, Row, Rule

SLICE_STEPS: Final = 2_000
"""Rows put on or taken off at once: a few milliseconds, so that keys are answered in between."""


Kind = Literal["all", "late", "repair", "unconfirmed"]
"""Lines that are counted: all, late ones, those that only a scan found, unconfirmed ones."""


class Move(NamedTuple):
    """A part of the way from one moment to another.

    Attributes:
        put: Rows that come, or that are as they were at that time.
        taken: Keys of rows that had not come yet.
    """

    put: Sequence[Row] = ()
    taken: Sequence[int] = ()


class Tape:
    """Rows with the times at which they came or changed; ``position`` counts those that are shown.

    Args:
        steps: When each row came, ms since the Unix epoch, and the row; a rule that changed comes
            again, and so does a line that is unconfirmed from then on. An equal line is left out.
    """

    def __init__(self, steps: Iterable[tuple[int, Row]] = ()) -> None:
        ordered = sorted(steps, key=lambda one: one[0])
        known: dict[int, int] = {}
        self._rows: list[Row] = []
        self._times = array("q")
        self._moments: dict[tuple[Kind, int], array[int]] = {}
        """When the lines of a kind and target came."""
        self._stamps: dict[int, array[int]] = {}
        """Timestamps of the lines of a target, in ascending order."""
        self._belated: dict[int, list[tuple[int, int]]] = {}
        """Lines of a target that may have come after their time was verified: when, and their
        timestamp; in order of the former."""
        self._versions: dict[int, list[int]] = {}
        """Places on the tape of each rule, and of lines that changed, by key."""
        self.duplicates = 0
        self.position = 0
        for at_ms, row in ordered:
            place = len(self._rows)
            first = known.setdefault(row.key, place)
            if isinstance(row, Rule):
                self._versions.setdefault(row.key, []).append(place)
            elif first == place:
                self._count(at_ms, row)
            elif self._rows[self._versions.get(row.key, [first])[-1]] == row:
                self.duplicates += 1
                continue
            else:
                self._versions.setdefault(row.key, [first]).append(place)
            if not isinstance(row, Rule) and row.era < 0:
                self._note("unconfirmed", row.target, at_ms)
            self._rows.append(row)
            self._times.append(at_ms)
        self._stamps = {one: array("q", sorted(found)) for one, found in self._stamps.items()}

    def __len__(self) -> int:
        return len(self._rows)

    def in_display_order(self) -> list[Line]:
        """The lines as they are at the end."""
        found = {row.key: row for row in self._rows if isinstance(row, Line)}
        return [found[key] for key in sorted(found)]

    @property
    def first_ms(self) -> int | None:
        """When the first row came; None without rows."""
        return self._times[0] if self._times else None

    @property
    def last_ms(self) -> int | None:
        """When the last row came; None without rows."""
        return self._times[-1] if self._times else None

    def count(self, kind: Kind, target: int, at_ms: int) -> int:
        """Number of lines of a kind and target that had come."""
        return bisect_right(self._moments.get((kind, target), ()), at_ms)

    def newer(self, target: int, through_ms: int | None, at_ms: int) -> int:
        """Number of lines of a target with a later timestamp that had come; None: of all.

        Unconfirmed lines are not counted.
        """
        come = self.count("all", target, at_ms)
        if through_ms is None:
            return max(0, come - self.count("unconfirmed", target, at_ms))
        older = bisect_right(self._stamps.get(target, ()), through_ms)
        belated = self._belated.get(target, [])
        coming = belated[bisect_right(belated, at_ms, key=itemgetter(0)) :]
        return max(0, come - older + sum(stamp <= through_ms for _, stamp in coming))

    def last_line_ms(self, target: int, at_ms: int) -> int | None:
        """When the newest line of a target came; None before the first."""
        come = self.count("all", target, at_ms)
        return self._moments["all", target][come - 1] if come else None

    def rows_through(self, at_ms: int) -> int:
        """Number of rows that had come or changed."""
        return bisect_right(self._times, at_ms)

    def by_second(self, at_ms: int, seconds: int) -> tuple[int, ...]:
        """Rows that came in each of the last seconds, newest last."""
        begin = at_ms // 1_000 - seconds + 1
        ends = [self.rows_through((begin + one) * 1_000 - 1) for one in range(seconds + 1)]
        ends[-1] = self.rows_through(at_ms)
        return tuple(high - low for low, high in pairwise(ends))

    def rules(self, at_ms: int) -> list[Rule]:
        """The rules as they were at a moment."""
        end = self.rows_through(at_ms)
        found = [self._version(places, end) for places in self._versions.values()]
        return [one for one in found if isinstance(one, Rule)]

    def is_at(self, at_ms: int) -> bool:
        """Whether the rows that are shown are those of a moment."""
        return self.position == self.rows_through(at_ms)

    def step(self, at_ms: int, steps: int = SLICE_STEPS) -> Move:
        """Move towards a moment by some steps at most, and return what that changes."""
        goal = self.rows_through(at_ms)
        if goal >= self.position:
            begin, self.position = self.position, min(goal, self.position + steps)
            return Move(put=self._rows[begin : self.position])
        end, self.position = self.position, max(goal, self.position - steps)
        put: dict[int, Row] = {}
        taken: list[int] = []
        for row in self._rows[self.position : end]:
            places = self._versions.get(row.key)
            before = None if places is None else self._version(places, self.position)
            if before is not None:
                put[row.key] = before
            else:
                taken.append(row.key)
        return Move(list(put.values()), taken)

    def _version(self, places: Sequence[int], end: int) -> Row | None:
        """The last version of a row before a place on the tape; None before the first."""
        at = bisect_right(places, end - 1)
        return self._rows[places[at - 1]] if at else None

    def _count(self, at_ms: int, line: Line) -> None:
        self._note("all", line.target, at_ms)
        self._stamps.setdefault(line.target, array("q")).append(line.timestamp)
        if line.late_ms or line.origin != "live":
            self._belated.setdefault(line.target, []).append((at_ms, line.timestamp))
        if line.late_ms:
            self._note("late", line.target, at_ms)
        if line.origin == "repair":
            self._note("repair", line.target, at_ms)

    def _note(self, kind: Kind, target: int, at_ms: int) -> None:
        self._moments.setdefault((kind, target), array("q")).append(at_ms)
