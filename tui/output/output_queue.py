"""The lines between an engine and the output: which to print, when, and what was printed. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Final, Literal, NamedTuple

from tui.lines.filters import OutputFilter
from tui.lines.rows import Line
from tui.output.ordering import (
    ArrivalOrder,
    LastLines,
    PrintedLine,
    PrintOrder,
    ReleaseState,
    StrictOrder,
)
from tui.output.progress import PrintedLines, Progress, StreamPosition, Unprinted

SLICE_LINES: Final = 2_000
"""Lines printed before progress may be saved again."""


class PrintSlice(NamedTuple):
    """Lines to print together."""

    lines: list[PrintedLine]
    progress: list[Progress | None] | None
    """What is printed of each target after these lines; None where no region could state it."""


class OutputQueue:
    """Takes an engine's lines and releases those that the query matches, each once.

    Args:
        order: ``strict`` by time, ``arrival`` as they come.
        hold_ms: Longest time that strict order holds a line.
        lines: Number of history lines to release, the last ones; None for all.
        start_ms: Where the history ends for ``lines``; None: output ends with it.
        until_ms: Time of the last event to release.
        test: The filter of texts and levels.
        printed: By target, what earlier runs of the consumer printed; None without a consumer.
        keys: By target, the keys of printed lines that are remembered.
    """

    def __init__(
        self,
        *,
        order: Literal["strict", "arrival"],
        hold_ms: int,
        lines: int | None,
        start_ms: int | None,
        until_ms: int | None,
        test: OutputFilter,
        printed: Sequence[Progress | None] | None,
        keys: Sequence[Container[int]],
    ) -> None:
        self._is_tracking = printed is not None
        self._floors: dict[int, int] = {}
        self.trackers: list[PrintedLines] = []
        self._until_ms = until_ms
        self._test = test
        self._highest_printed = -1
        inner: PrintOrder = StrictOrder(hold_ms) if order == "strict" else ArrivalOrder()
        self._order = inner if lines is None else LastLines(inner, lines, start_ms, self._floors)
        for before, known in zip(printed or (), keys, strict=True):
            self.add_target(before, known)

    def add_target(self, before: Progress | None, keys: Container[int]) -> None:
        """Track what is printed of one more target; ``before`` is what earlier runs printed."""
        tracker = PrintedLines(len(self.trackers), before, self._until_ms, keys)
        self._floors[len(self.trackers)] = tracker.floor
        self.trackers.append(tracker)

    @property
    def arrived(self) -> int:
        """Number of lines added so far that pass."""
        return self._order.arrived

    def add_lines(self, lines: Iterable[Line], now_ms: int, rebases: Sequence[int]) -> None:
        """Add new lines; ``rebases`` is each target's number of rebases."""
        self.add_passing(self.passing(self.select(lines, rebases)), now_ms)

    def select(self, lines: Iterable[Line], rebases: Sequence[int]) -> list[Line]:
        """The new lines that are to be printed if their text matches."""
        until, trackers = self._until_ms, self.trackers
        return [
            line
            for line in lines
            if (until is None or line.timestamp <= until)
            and not (trackers and trackers[line.target].was_printed(line, rebases[line.target]))
        ]

    def passing(self, lines: Iterable[Line]) -> list[Line]:
        """The lines whose text matches; long ones take long, and any thread may call this."""
        return [line for line in lines if self._test.passes(line)]

    def add_passing(self, lines: Iterable[Line], now_ms: int) -> None:
        """Add selected lines whose text matches."""
        self._order.add_lines(lines, now_ms)

    def take_ready(
        self, state: ReleaseState, positions: Sequence[StreamPosition]
    ) -> list[PrintSlice]:
        """Release the lines that may be printed now, with the positions of this moment."""
        return self._slices(self._order.take_ready(state), positions)

    def take_all(self, positions: Sequence[StreamPosition]) -> list[PrintSlice]:
        """Release every line that is held."""
        return self._slices(self._order.take_all(), positions)

    def take_warnings(self) -> list[str]:
        """Return warnings about exceeded limits since the last call, a line each."""
        return self._order.take_warnings()

    def _slices(
        self, lines: list[PrintedLine], positions: Sequence[StreamPosition]
    ) -> list[PrintSlice]:
        """Cut lines into slices; there is at least one, since progress may move without lines."""
        held = self._order.lowest_held
        keys = [one.line.key for one in lines]
        lowest = [held]
        for key in reversed(keys):
            lowest.append(key if lowest[-1] is None else min(key, lowest[-1]))
        lowest.reverse()
        slices = []
        for begin in range(0, max(1, len(lines)), SLICE_LINES):
            end = min(begin + SLICE_LINES, len(lines))
            self._highest_printed = max([self._highest_printed, *keys[begin:end]])
            slices.append(PrintSlice(lines[begin:end], self._progress(lowest[end], positions)))
        return slices

    def _progress(
        self, lowest: int | None, positions: Sequence[StreamPosition]
    ) -> list[Progress | None] | None:
        """What is printed once all lines below ``lowest`` are."""
        if not self._is_tracking or (lowest is not None and lowest < self._highest_printed):
            return None
        unprinted = Unprinted(lowest, self._order.left_out)
        # A target may have joined since the positions were taken: nothing of it is stated yet.
        return [
            tracker.progress(position, unprinted)
            for tracker, position in zip(self.trackers, positions, strict=False)
        ]
