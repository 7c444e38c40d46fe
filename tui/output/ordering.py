"""The order in which output prints lines. Pure.

In strict order a line is held until a mark passes it, or until its hold is over, which counts
from the later of its receipt and its own time. A line that comes too late for its place is
printed at once, and marked as late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from typing import Final, Protocol

import msgspec

from tui.lines.rows import Line, time_key

HELD_LINES_MAX: Final = 100_000
"""Lines held at most; beyond them the oldest are printed, with a warning."""

AHEAD_MS: Final = 2 * 3_600_000
"""PutLogEvents accepts no event further ahead of the clock, so none is held for longer."""


class ReleaseState(msgspec.Struct, frozen=True):
    """The time and the progress that decide which lines may be printed."""

    now_ms: int
    verified_ms: int | None
    """T, the earliest among the targets."""
    is_backfilled: bool
    """Whether the requested history of all targets is here."""


class PrintedLine(msgspec.Struct, frozen=True):
    """A line to print."""

    line: Line
    is_late: bool
    is_altered: bool = False
    """Whether CloudWatch returned another text by the time at which it was printed."""


class PrintOrder(Protocol):
    """Takes lines as they come, and releases them in the order in which to print them."""

    def add_lines(self, lines: Iterable[Line], now_ms: int) -> None:
        """Add new lines, in any order."""

    def take_ready(self, state: ReleaseState) -> list[PrintedLine]:
        """Release the lines that may be printed now."""

    def take_all(self) -> list[PrintedLine]:
        """Release every line that is held."""

    @property
    def arrived(self) -> int:
        """Number of lines added so far."""

    @property
    def lowest_held(self) -> int | None:
        """The lowest key of the lines that are held; None if none is."""

    @property
    def left_out(self) -> Mapping[int, int]:
        """By target, the highest key of the lines that are never released."""

    def take_warnings(self) -> list[str]:
        """Return warnings about exceeded limits since the last call, a line each."""


class ArrivalOrder:
    """Releases lines as they come.

    Attributes:
        arrived: Number of lines added so far.
    """

    def __init__(self) -> None:
        self.arrived = 0
        self._lines: list[Line] = []

    @property
    def lowest_held(self) -> int | None:
        """The lowest key of the lines that are held; None if none is."""
        return min((line.key for line in self._lines), default=None)

    @property
    def left_out(self) -> Mapping[int, int]:
        """Nothing: every line is released."""
        return {}

    def add_lines(self, lines: Iterable[Line], now_ms: int) -> None:  # noqa: ARG002 - PrintOrder
        """Add new lines."""
        before = len(self._lines)
        self._lines.extend(lines)
        self.arrived += len(self._lines) - before

    def take_ready(self, state: ReleaseState) -> list[PrintedLine]:  # noqa: ARG002 - PrintOrder
        """Release everything that has come."""
        return self.take_all()

    def take_all(self) -> list[PrintedLine]:
        """Release everything that has come."""
        lines, self._lines = self._lines, []
        return [PrintedLine(line, line.late_ms > 0) for line in lines]

    def take_warnings(self) -> list[str]:
        """Return no warning, as nothing is held."""
        return []


class StrictOrder:
    """Releases lines in order of time.

    Args:
        hold_ms: Longest time that a line is held; while history still comes, all are held.
        lines_max: Lines held at most.

    Attributes:
        arrived: Number of lines added so far.
    """

    def __init__(self, hold_ms: int, lines_max: int = HELD_LINES_MAX) -> None:
        self.arrived = 0
        self._hold_ms = hold_ms
        self._lines_max = lines_max
        self._held: list[tuple[int, int, Line]] = []  # heap by key, then by arrival
        self._due: list[tuple[int, int]] = []  # heap of the holds' ends, with the lines' keys
        self._late: list[Line] = []
        self._printed_key = -1  # the greatest so far
        self._progress_ms = 0
        self._overflow = 0
        self._ahead = 0

    def __len__(self) -> int:
        return len(self._held) + len(self._late)

    @property
    def lowest_held(self) -> int | None:
        """The lowest key of the lines that are held; None if none is."""
        first = [self._held[0][0]] if self._held else []
        return min([*first, *(line.key for line in self._late)], default=None)

    @property
    def left_out(self) -> Mapping[int, int]:
        """Nothing: every line is released."""
        return {}

    def add_lines(self, lines: Iterable[Line], now_ms: int) -> None:
        """Add new lines, in any order."""
        self._progress_ms = now_ms
        for line in lines:
            self.arrived += 1
            if line.key < self._printed_key:
                self._late.append(line)
                continue
            heappush(self._held, (line.key, self.arrived, line))
            heappush(self._due, (self._due_ms(line.timestamp, now_ms), line.key))

    def take_ready(self, state: ReleaseState) -> list[PrintedLine]:
        """Release lines that are verified or whose hold is over, and all lines before them."""
        bound = -1 if state.verified_ms is None else time_key(state.verified_ms + 1) - 1
        if self._may_expire(state):
            while self._due and self._due[0][0] <= state.now_ms:
                bound = max(bound, heappop(self._due)[1])
        printed = self._take_late()
        while self._held and (self._held[0][0] <= bound or len(self._held) > self._lines_max):
            self._overflow += self._held[0][0] > bound
            printed.append(self._pop())
        return printed

    def take_all(self) -> list[PrintedLine]:
        """Release every line that is held."""
        printed = self._take_late()
        while self._held:
            printed.append(self._pop())
        self._due.clear()
        return printed

    def take_warnings(self) -> list[str]:
        """Return warnings about exceeded limits since the last call, a line each."""
        warnings = []
        if self._overflow:
            warnings.append(
                f"more than {self._lines_max:,} lines were held: "
                f"{self._overflow:,} were printed before they were verified"
            )
        if self._ahead:
            warnings.append(
                f"{self._ahead:,} lines have timestamps more than 2 h ahead of the clock"
            )
        self._overflow = self._ahead = 0
        return warnings

    def _due_ms(self, timestamp: int, now_ms: int) -> int:
        if timestamp > now_ms + AHEAD_MS:
            self._ahead += 1
        return min(max(now_ms, timestamp), now_ms + AHEAD_MS) + self._hold_ms

    def _may_expire(self, state: ReleaseState) -> bool:
        """Whether holds count: while history comes, earlier lines may still follow."""
        stalled = state.now_ms - self._progress_ms >= self._hold_ms
        return state.is_backfilled or stalled

    def _take_late(self) -> list[PrintedLine]:
        late, self._late = self._late, []
        return [PrintedLine(line, is_late=True) for line in late]

    def _pop(self) -> PrintedLine:
        key, _, line = heappop(self._held)
        self._printed_key = max(self._printed_key, key)
        return PrintedLine(line, is_late=False)


class LastLines:
    """Passes only the last lines of the history on to another order, and all newer lines.

    Args:
        order: The order that the lines are passed to once the history is here.
        count: Number of lines of the history to pass.
        start_ms: Where the history ends; None where output ends with it.
        floors: By target, the key below which the history does not count, as an earlier run left
            those lines out already.

    Attributes:
        left_out: By target, the highest key of the history that was not passed.
    """

    def __init__(
        self,
        order: PrintOrder,
        count: int,
        start_ms: int | None,
        floors: Mapping[int, int] | None = None,
    ) -> None:
        self.left_out: dict[int, int] = {}
        self._order = order
        self._floors = {} if floors is None else floors
        self._count = count
        self._start = None if start_ms is None else time_key(start_ms)
        self._history: list[tuple[int, int, Line]] = []  # heap by key, then by arrival
        self._newer: list[Line] = []
        self._number = 0
        self._now_ms = 0
        self._is_collecting = True

    @property
    def arrived(self) -> int:
        """Number of lines added so far, without those that are left out."""
        return self._order.arrived + len(self._history) + len(self._newer)

    @property
    def lowest_held(self) -> int | None:
        """The lowest key of the lines that are held; 0, the lowest of all, until all are here."""
        return 0 if self._is_collecting else self._order.lowest_held

    def add_lines(self, lines: Iterable[Line], now_ms: int) -> None:
        """Add new lines, in any order."""
        self._now_ms = now_ms
        if not self._is_collecting:
            self._order.add_lines(lines, now_ms)
            return
        for line in lines:
            if self._start is not None and line.key >= self._start:
                self._newer.append(line)
            elif line.key < self._floors.get(line.target, 0):
                self._leave_out(line)
            else:
                self._number += 1
                heappush(self._history, (line.key, self._number, line))
                if len(self._history) > self._count:
                    self._leave_out(heappop(self._history)[2])

    def take_ready(self, state: ReleaseState) -> list[PrintedLine]:
        """Release nothing until the history is here."""
        if self._start is None or (self._is_collecting and not state.is_backfilled):
            return []
        self._pass_on(state.now_ms)
        return self._order.take_ready(state)

    def take_all(self) -> list[PrintedLine]:
        """Release every line that is held."""
        self._pass_on(self._now_ms)
        return self._order.take_all()

    def take_warnings(self) -> list[str]:
        """Return the other order's warnings."""
        return self._order.take_warnings()

    def _leave_out(self, line: Line) -> None:
        self.left_out[line.target] = max(line.key, self.left_out.get(line.target, 0))

    def _pass_on(self, now_ms: int) -> None:
        if self._is_collecting:
            self._is_collecting = False
            history = [line for _, _, line in sorted(self._history, key=lambda one: one[:2])]
            self._order.add_lines([*history, *self._newer], now_ms)
            self._history, self._newer = [], []
