"""In which order output prints: by time, each line held until nothing can come before it. Pure.

A line is held until a mark passes it, or until the hold is over, counted from the later of its
receipt and its own time. What comes too late for its place is printed when it comes, and said
to be late.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Final, Protocol

import msgspec

from tui.lines.rows import Line, time_key

HELD_LINES_MAX: Final = 100_000
"""Lines held at most; beyond them the oldest are printed, and that is declared."""

AHEAD_MS: Final = 2 * 3_600_000
"""PutLogEvents takes no event that is stamped further ahead; one that is waits no longer."""


class Moment(msgspec.Struct, frozen=True):
    """What decides which lines may be printed now."""

    now_ms: int
    proved_ms: int | None
    """T, the least of all targets'."""
    is_backfilled: bool
    """Whether the past of all targets is here."""


class Printed(msgspec.Struct, frozen=True):
    """A line to print."""

    line: Line
    is_late: bool


class Order(Protocol):
    """Takes lines as they come and gives them as they are to be printed."""

    def put(self, lines: Iterable[Line], now_ms: int) -> None:
        """Take in new lines, in any order."""

    def take(self, moment: Moment) -> list[Printed]:
        """What is to be printed now."""

    def take_all(self) -> list[Printed]:
        """Everything that is held, at the end."""

    @property
    def arrived(self) -> int:
        """Lines taken in so far."""

    @property
    def first_held(self) -> int | None:
        """The place in the order of arrival of the first line that is held."""

    def declarations(self) -> list[str]:
        """What went beyond the bounds since the last call, a line each."""


class Arrival:
    """As lines come."""

    def __init__(self) -> None:
        """Nothing has come."""
        self.arrived = 0
        self._lines: list[Line] = []

    @property
    def first_held(self) -> int | None:
        """The place in the order of arrival of the first line that is held."""
        return self.arrived - len(self._lines) + 1 if self._lines else None

    def put(self, lines: Iterable[Line], now_ms: int) -> None:  # noqa: ARG002 - as Order has it
        """Take in new lines."""
        before = len(self._lines)
        self._lines.extend(lines)
        self.arrived += len(self._lines) - before

    def take(self, moment: Moment) -> list[Printed]:  # noqa: ARG002 - as Order has it
        """Everything that has come."""
        return self.take_all()

    def take_all(self) -> list[Printed]:
        """Everything that has come."""
        lines, self._lines = self._lines, []
        return [Printed(line, line.late_ms > 0) for line in lines]

    def declarations(self) -> list[str]:
        """Nothing: no line is held."""
        return []


class Strict:
    """By time.

    Args:
        hold_ms: Longest that a line is held. While the past still comes, it holds all.
        lines_max: Lines held at most.

    """

    def __init__(self, hold_ms: int, lines_max: int = HELD_LINES_MAX) -> None:
        """Nothing is held."""
        self.arrived = 0
        self._hold_ms = hold_ms
        self._lines_max = lines_max
        self._held: list[tuple[int, int, Line]] = []  # by key, then by arrival
        self._due: list[tuple[int, int]] = []  # when a hold is over, and of which key
        self._late: list[tuple[int, Line]] = []
        self._printed = -1  # the greatest key printed
        self._progress_ms = 0
        self._overflow = 0
        self._ahead = 0

    def __len__(self) -> int:
        """Lines held."""
        return len(self._held) + len(self._late)

    @property
    def first_held(self) -> int | None:
        """The place in the order of arrival of the first line that is held."""
        numbers = [number for _, number, _ in self._held] + [number for number, _ in self._late]
        return min(numbers, default=None)

    def put(self, lines: Iterable[Line], now_ms: int) -> None:
        """Take in new lines, in any order."""
        self._progress_ms = now_ms
        for line in lines:
            self.arrived += 1
            if line.key < self._printed:
                self._late.append((self.arrived, line))
                continue
            heappush(self._held, (line.key, self.arrived, line))
            heappush(self._due, (self._due_ms(line.timestamp, now_ms), line.key))

    def take(self, moment: Moment) -> list[Printed]:
        """What a mark has passed, or what was held for long enough, and what is before it."""
        bound = -1 if moment.proved_ms is None else time_key(moment.proved_ms + 1) - 1
        if self._may_expire(moment):
            while self._due and self._due[0][0] <= moment.now_ms:
                bound = max(bound, heappop(self._due)[1])
        printed = self._take_late()
        while self._held and (self._held[0][0] <= bound or self._is_over()):
            self._overflow += self._held[0][0] > bound
            printed.append(self._pop())
        return printed

    def take_all(self) -> list[Printed]:
        """Everything that is held."""
        printed = self._take_late()
        while self._held:
            printed.append(self._pop())
        self._due.clear()
        return printed

    def declarations(self) -> list[str]:
        """What went beyond the bounds since the last call, a line each."""
        said = []
        if self._overflow:
            said.append(
                f"more than {self._lines_max:,} lines are held: "
                f"{self._overflow:,} were printed before they were proved"
            )
        if self._ahead:
            said.append(f"{self._ahead:,} lines are stamped more than 2 h ahead of the clock")
        self._overflow = self._ahead = 0
        return said

    def _due_ms(self, timestamp: int, now_ms: int) -> int:
        if timestamp > now_ms + AHEAD_MS:
            self._ahead += 1
        return min(max(now_ms, timestamp), now_ms + AHEAD_MS) + self._hold_ms

    def _may_expire(self, moment: Moment) -> bool:
        """While the past comes, a hold that is over says nothing about what is still to come."""
        stalled = moment.now_ms - self._progress_ms >= self._hold_ms
        return moment.is_backfilled or stalled

    def _is_over(self) -> bool:
        return len(self._held) > self._lines_max

    def _take_late(self) -> list[Printed]:
        late, self._late = self._late, []
        return [Printed(line, is_late=True) for _, line in late]

    def _pop(self) -> Printed:
        key, _, line = heappop(self._held)
        self._printed = max(self._printed, key)
        return Printed(line, is_late=False)


class LastOfPast:
    """Of the past only the last lines; what is of the time since the start goes through.

    Args:
        order: Where lines go once the past is here.
        count: Lines of the past.
        start_ms: Where the past ends; None: nowhere, as output ends with it.

    """

    def __init__(self, order: Order, count: int, start_ms: int | None) -> None:
        """Nothing has come."""
        self._order = order
        self._count = count
        self._start = None if start_ms is None else time_key(start_ms)
        self._past: list[tuple[int, int, Line]] = []
        self._since: list[Line] = []
        self._number = 0
        self._now_ms = 0
        self._is_past = True

    @property
    def arrived(self) -> int:
        """Lines taken in so far; what is left out counts as printed."""
        return self._order.arrived + len(self._past) + len(self._since)

    @property
    def first_held(self) -> int | None:
        """The place in the order of arrival of the first line that is held."""
        if self._past or self._since:
            return 0
        return self._order.first_held

    def put(self, lines: Iterable[Line], now_ms: int) -> None:
        """Take in new lines, in any order."""
        self._now_ms = now_ms
        if not self._is_past:
            self._order.put(lines, now_ms)
            return
        for line in lines:
            if self._start is not None and line.key >= self._start:
                self._since.append(line)
            else:
                self._number += 1
                heappush(self._past, (line.key, self._number, line))
                if len(self._past) > self._count:
                    heappop(self._past)

    def take(self, moment: Moment) -> list[Printed]:
        """Nothing, until the past is here."""
        if self._start is None or (self._is_past and not moment.is_backfilled):
            return []
        self._pass_on(moment.now_ms)
        return self._order.take(moment)

    def take_all(self) -> list[Printed]:
        """Everything that is held."""
        self._pass_on(self._now_ms)
        return self._order.take_all()

    def declarations(self) -> list[str]:
        """What went beyond the bounds since the last call, a line each."""
        return self._order.declarations()

    def _pass_on(self, now_ms: int) -> None:
        if self._is_past:
            self._is_past = False
            past = [line for _, _, line in sorted(self._past, key=lambda one: one[:2])]
            self._order.put([*past, *self._since], now_ms)
            self._past, self._since = [], []
