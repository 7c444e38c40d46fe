"""The course of a run: what one target showed second by second, for reports. Pure and bounded.

Times are the viewer's wall clock, ms.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final

import msgspec

from tui.lines.rows import Line

SECONDS_MAX: Final = 3_600
"""Newest seconds with lines that are kept: an hour of a demonstration."""

CHANGES_MAX: Final = 10_000
"""Newest changes of each kind; marks that advance every second fill them in hours."""

ERAS_MAX: Final = 20
"""Newest eras whose arrivals are kept: every rebase begins one, with seqs of its own."""

ARRIVALS_MAX: Final = 50_000
"""Newest batches whose arrival is kept: an hour and more of a busy demonstration."""


class Second(msgspec.Struct):
    """The lines that arrived in one second.

    Attributes:
        at_ms: Its beginning.
        lines: New lines.
        late: Those for a time already verified.
        repaired: Those that only a scan found.
        lag_ms: Longest time from CloudWatch's acceptance to the arrival.
    """

    at_ms: int
    lines: int = 0
    late: int = 0
    repaired: int = 0
    lag_ms: int = 0


class Course:
    """What one target showed over time.

    Attributes:
        seconds: The newest seconds in which lines arrived.
        verified: The newest changes of T, the time through which everything is verified, as
            (moment, T); None: nothing is.
        upstream: The newest changes of CloudWatch's state, as (moment, state or code, reason).
        details: The newest changes of the words beside the state, as (moment, words).
        altered: The newest changes of the number of altered lines, as (moment, number).
    """

    def __init__(self) -> None:
        self.seconds: deque[Second] = deque(maxlen=SECONDS_MAX)
        self.verified: deque[tuple[int, int | None]] = deque(maxlen=CHANGES_MAX)
        self.upstream: deque[tuple[int, str, str]] = deque(maxlen=CHANGES_MAX)
        self.details: deque[tuple[int, str]] = deque(maxlen=CHANGES_MAX)
        self.altered: deque[tuple[int, int]] = deque(maxlen=CHANGES_MAX)
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
        if not self.seconds or self.seconds[-1].at_ms < begin_ms:
            self.seconds.append(Second(begin_ms))
        second = self.seconds[-1]
        second.lines += len(lines)
        second.late += sum([line.late_ms > 0 for line in lines])
        second.repaired += [line.origin for line in lines].count("repair")
        accepted = [self._accepted_ms(line, now_ms) for line in lines]
        oldest = min(accepted, default=now_ms)
        if oldest < self._since_ms:
            oldest = min((one for one in accepted if one >= self._since_ms), default=now_ms)
        second.lag_ms = max(second.lag_ms, now_ms - oldest)

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
        through_ms = self.verified[-1][1] if self.verified else None
        is_late = through_ms is not None and line.timestamp <= through_ms
        return now_ms if is_late else line.timestamp

    def note_verified(self, through_ms: int | None, now_ms: int) -> None:
        """Note through which time everything is verified now."""
        if not self.verified or self.verified[-1][1] != through_ms:
            self.verified.append((now_ms, through_ms))

    def note_upstream(self, state: str, reason: str, now_ms: int) -> None:
        """Note the state of CloudWatch that the forwarder reports now."""
        last = self.upstream[-1][1] if self.upstream else "ok"
        if state != last:
            self.upstream.append((now_ms, state, reason))

    def note_detail(self, detail: str, now_ms: int) -> None:
        """Note the words beside the state now: the last failure while it reconnects."""
        last = self.details[-1][1] if self.details else ""
        if detail != last:
            self.details.append((now_ms, detail))

    def note_altered(self, lines: int, now_ms: int) -> None:
        """Note how many lines have another text at CloudWatch now."""
        last = self.altered[-1][1] if self.altered else 0
        if lines != last:
            self.altered.append((now_ms, lines))

    def entries(self, target: int) -> list[dict[str, Any]]:
        """Return the entries of the record."""
        found: list[dict[str, Any]] = [
            {
                "type": "second",
                "target": target,
                "at": one.at_ms,
                "lines": one.lines,
                "late": one.late,
                "repaired": one.repaired,
                "lag": one.lag_ms,
            }
            for one in self.seconds
        ]
        found += [
            {"type": "verified", "target": target, "at": at_ms, "through": through_ms}
            for at_ms, through_ms in self.verified
        ]
        found += [
            {"type": "upstream", "target": target, "at": at_ms, "state": state, "reason": reason}
            for at_ms, state, reason in self.upstream
        ]
        found += [
            {"type": "detail", "target": target, "at": at_ms, "detail": detail}
            for at_ms, detail in self.details
        ]
        found += [
            {"type": "altered_lines", "target": target, "at": at_ms, "count": count}
            for at_ms, count in self.altered
        ]
        return found
