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
    """

    def __init__(self) -> None:
        self.seconds: deque[Second] = deque(maxlen=SECONDS_MAX)
        self.verified: deque[tuple[int, int | None]] = deque(maxlen=CHANGES_MAX)
        self.upstream: deque[tuple[int, str, str]] = deque(maxlen=CHANGES_MAX)
        self._since_ms: int | None = None
        self._arrivals: list[tuple[int, int, int]] = []
        """First and last seq of a batch, ascending, and when it arrived."""

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
        at = bisect_left(self._arrivals, line.seq, key=itemgetter(1))
        if at == len(self._arrivals):
            return None
        first, _, at_ms = self._arrivals[at]
        return at_ms if first <= line.seq else None

    def _note_arrival(self, lines: Sequence[Line], now_ms: int) -> None:
        """Note when seqs arrived, as long as they ascend: history comes newest first."""
        seqs = [line.seq for line in lines]
        if not seqs or (self._arrivals and min(seqs) <= self._arrivals[-1][1]):
            return
        self._arrivals.append((min(seqs), max(seqs), now_ms))
        if len(self._arrivals) >= 2 * ARRIVALS_MAX:
            del self._arrivals[:ARRIVALS_MAX]

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
        return found
