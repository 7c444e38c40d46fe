"""Whether a process's memory and file descriptors stay flat, from samples. Pure.

A life's warm-up is left out: its first half, one minute at least. Of the rest the slope is the
median of the slopes between all pairs of samples (Theil-Sen), which no single peak moves. Memory is
flat if the growth that the slope amounts to stays within a tenth of the median, and within what
the process holds of each new line by design. Lives too short for that are reported, not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Final, NamedTuple

WARM_UP_S: Final = 60.0
JUDGED_S: Final = 120.0
"""Shortest time after the warm-up of which a slope is judged."""

SLACK_BYTES: Final = 16 << 20
"""Growth that is always allowed: the allocator's arenas, a burst, a long line."""
SLACK_SHARE: Final = 0.1
FDS_MAX: Final = 4
"""Growth in file descriptors that is allowed: connections that are being made."""

_SAMPLES_MAX: Final = 300
_MINUTE_S: Final = 60


class Sample(NamedTuple):
    """What a process used at a time; memory in bytes."""

    at_s: float
    rss: int
    pss: int
    fds: int
    lines: int
    """Lines that CloudWatch had accepted."""


class Trend(NamedTuple):
    """How one process's use developed; slopes per minute, after the warm-up."""

    name: str
    lived_s: float
    peak_rss: int
    median_pss: float
    rss_slope: float
    pss_slope: float
    fds_slope: float
    fds: tuple[int, int]
    """Fewest and most after the warm-up."""
    judged_s: float
    """How long the part after the warm-up is; 0: too short to be judged."""
    allowed: float
    """Bytes that it may have grown by."""

    @property
    def grown(self) -> float:
        """Growth in bytes that the slope amounts to."""
        return self.pss_slope * self.judged_s / _MINUTE_S

    def findings(self) -> list[str]:
        """What is not flat."""
        if not self.judged_s:
            return []
        found = []
        if self.grown > self.allowed:
            found.append(
                f"{self.name} grew by {_mib(self.grown)} in {self.judged_s:.0f} s, "
                f"allowed are {_mib(self.allowed)}"
            )
        if self.fds_slope * self.judged_s / _MINUTE_S > FDS_MAX:
            found.append(f"{self.name} kept file descriptors: {self.fds[0]} to {self.fds[1]}")
        return found

    def describe(self) -> str:
        """One line of the report."""
        head = (
            f"{self.name:<16} {self.lived_s:6.0f} s  RSS peak {_mib(self.peak_rss)}, "
            f"PSS {_mib(self.median_pss)}, fds {self.fds[0]}-{self.fds[1]}"
        )
        if not self.judged_s:
            return f"{head}; too short for a slope"
        verdict = "NOT FLAT" if self.findings() else "flat"
        return (
            f"{head}; per minute: RSS {self.rss_slope / 1024:+.0f} KiB, "
            f"PSS {self.pss_slope / 1024:+.0f} KiB, fds {self.fds_slope:+.2f}; {verdict} "
            f"({_mib(self.grown)} in {self.judged_s:.0f} s, allowed {_mib(self.allowed)})"
        )


def trend_of(name: str, samples: Sequence[Sample], *, line_bytes: int = 0) -> Trend:
    """Judge the samples of one life.

    Args:
        name: What the report calls the process.
        samples: At least one, by time.
        line_bytes: What the process holds of each line by design; 0: nothing.
    """
    begin_s, end_s = samples[0].at_s, samples[-1].at_s
    warm_s = begin_s + max(WARM_UP_S, (end_s - begin_s) / 2)
    late = [one for one in samples if one.at_s >= warm_s]
    span_s = late[-1].at_s - late[0].at_s if late else 0.0
    is_judged = span_s >= JUDGED_S
    rest = late if is_judged else list(samples)
    middle = median(one.pss for one in rest)
    lines = rest[-1].lines - rest[0].lines
    return Trend(
        name=name,
        lived_s=end_s - begin_s,
        peak_rss=max(one.rss for one in samples),
        median_pss=middle,
        rss_slope=slope([(one.at_s, one.rss) for one in rest]) * _MINUTE_S,
        pss_slope=slope([(one.at_s, one.pss) for one in rest]) * _MINUTE_S,
        fds_slope=slope([(one.at_s, one.fds) for one in rest]) * _MINUTE_S,
        fds=(min(one.fds for one in rest), max(one.fds for one in rest)),
        judged_s=span_s if is_judged else 0.0,
        allowed=max(SLACK_BYTES, SLACK_SHARE * middle) + line_bytes * lines,
    )


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The median slope between all pairs of points; 0 for fewer than two."""
    thinned = points[:: -(-len(points) // _SAMPLES_MAX) or 1]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(thinned, 2) if b[0] > a[0]]
    return median(slopes) if slopes else 0.0


def _mib(size: float) -> str:
    return f"{size / (1 << 20):.1f} MiB"
