"""The course of a run: what one target showed second by second, for reports. Pure and bounded.

Times are the viewer's wall clock, ms.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import Final

from tui.lines.rows import Line
from wire.record import AlteredLines, Detail, Moment, SecondEntry, Upstream, Verified

SECONDS_MAX: Final = 3_600
"""Newest seconds with lines that are kept: an hour of a demonstration."""

CHANGES_MAX: Final = 10_000
"""Newest changes of each kind; marks that advance every second fill them in hours."""

ERAS_MAX: Final = 20
"""Newest eras whose arrivals are kept: every rebase begins one, with seqs of its own."""

ARRIVALS_MAX: Final = 50_000
"""Newest batches whose arrival is kept: an hour and more of a busy demonstration."""


class Course:
    """What one target showed over time: the newest of its seconds and of each kind of change."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._seconds: deque[SecondEntry] = deque(maxlen=SECONDS_MAX)
        self._verified: deque[Verified] = deque(maxlen=CHANGES_MAX)
        self._upstream: deque[Upstream] = deque(maxlen=CHANGES_MAX)
        self._details: deque[Detail] = deque(maxlen=CHANGES_MAX)
        self._altered: deque[AlteredLines] = deque(maxlen=CHANGES_MAX)
        self._since_ms: int | None = None
        self._arrivals: dict[int, list[tuple[int, int, int]]] = {}
        """For each era, first and last seq of a batch, ascending, and when it arrived."""

    def count_lines(self, lines: Sequence[Line], now_ms: int) -> None:
        """Count lines that have just arrived.

        Events that CloudWatch accepted before the first line arrived are history, without a lag.
        """
        self._note_arrival(lines, now_ms)
        if self._since_ms is None:
            self._since_ms = now_ms
        begin_ms = now_ms // 1_000 * 1_000
        if not self._seconds or self._seconds[-1].at < begin_ms:
            self._seconds.append(SecondEntry(target=self._target, at=begin_ms))
        second = self._seconds[-1]
        second.lines += len(lines)
        second.late += sum([line.late_ms > 0 for line in lines])
        second.repaired += [line.origin for line in lines].count("repair")
        accepted = [self._accepted_ms(line, now_ms) for line in lines]
        oldest = min(accepted, default=now_ms)
        if oldest < self._since_ms:
            oldest = min((one for one in accepted if one >= self._since_ms), default=now_ms)
        second.lag = max(second.lag, now_ms - oldest)

    def arrived_ms(self, line: Line) -> int | None:
        """When a line arrived; None where that is not known, as for most of the history."""
        arrivals = self._arrivals.get(line.era, [])
        at = bisect_left(arrivals, line.seq, key=itemgetter(1))
        if at == len(arrivals):
            return None
        first, _, at_ms = arrivals[at]
        return at_ms if first <= line.seq else None

    def _note_arrival(self, lines: Sequence[Line], now_ms: int) -> None:
        """Note when seqs arrived, as long as they ascend: history comes newest first."""
        if not lines:
            return
        seqs = [line.seq for line in lines]
        arrivals = self._arrivals.setdefault(lines[0].era, [])
        if len(self._arrivals) > ERAS_MAX:
            del self._arrivals[min(self._arrivals)]
        if arrivals and min(seqs) <= arrivals[-1][1]:
            return
        arrivals.append((min(seqs), max(seqs), now_ms))
        if len(arrivals) >= 2 * ARRIVALS_MAX:
            del arrivals[:ARRIVALS_MAX]

    def _accepted_ms(self, line: Line, now_ms: int) -> int:
        """When CloudWatch accepted an event, as far as it is known; ``now_ms``: it is not.

        The live path does not name that time. The event's own timestamp stands for it, unless the
        time was verified without the event: then it is a late one.
        """
        if line.ingestion_time is not None:
            return line.ingestion_time
        through_ms = self._verified[-1].through if self._verified else None
        is_late = through_ms is not None and line.timestamp <= through_ms
        return now_ms if is_late else line.timestamp

    def note_verified(self, through_ms: int | None, now_ms: int) -> None:
        """Note through which time everything is verified now."""
        if not self._verified or self._verified[-1].through != through_ms:
            self._verified.append(Verified(target=self._target, at=now_ms, through=through_ms))

    def note_upstream(self, state: str, reason: str, now_ms: int) -> None:
        """Note the state of CloudWatch that the forwarder reports now."""
        last = self._upstream[-1].state if self._upstream else "ok"
        if state != last:
            self._upstream.append(
                Upstream(target=self._target, at=now_ms, state=state, reason=reason)
            )

    def note_detail(self, detail: str, now_ms: int) -> None:
        """Note the words beside the state now: the last failure while it reconnects."""
        last = self._details[-1].detail if self._details else ""
        if detail != last:
            self._details.append(Detail(target=self._target, at=now_ms, detail=detail))

    def note_altered(self, lines: int, now_ms: int) -> None:
        """Note how many lines have another text at CloudWatch now."""
        last = self._altered[-1].count if self._altered else 0
        if lines != last:
            self._altered.append(AlteredLines(target=self._target, at=now_ms, count=lines))

    def entries(self) -> Iterator[Moment]:
        """Return the entries of the record."""
        return chain(self._seconds, self._verified, self._upstream, self._details, self._altered)
