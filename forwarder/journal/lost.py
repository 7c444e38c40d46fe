"""Ranges of time for bodies that nobody has any more."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from wire.messages import Lost

LOST_RANGES_MAX: Final = 100
"""Ranges in one ``welcome``: beyond it neighbours are joined, declaring more rather than less."""

_ADJOINING_MS: Final = 1_000


def lost_ranges(losses: Iterable[tuple[int, str]]) -> list[Lost]:
    """Losses as (timestamp, reason), joined where they have one reason and adjoin.

    Losses adjoin when they are at most a second apart. Where that leaves too many ranges,
    the nearest are joined as well, so that what is declared always holds every loss.
    """
    by_reason: dict[str, list[int]] = {}
    for timestamp, reason in losses:
        by_reason.setdefault(reason, []).append(timestamp)
    for timestamps in by_reason.values():
        timestamps.sort()
    steps = sorted(
        (
            after - before
            for timestamps in by_reason.values()
            for before, after in pairwise(timestamps)
        ),
        reverse=True,
    )
    spare = max(0, LOST_RANGES_MAX - len(by_reason))
    adjoining = max(_ADJOINING_MS, steps[spare] if len(steps) > spare else 0)
    ranges = [
        Lost(from_=run[0], through=run[-1], reason=reason)
        for reason, timestamps in by_reason.items()
        for run in _runs(timestamps, adjoining)
    ]
    return sorted(ranges, key=lambda one: (one.from_, one.through, one.reason))


def _runs(timestamps: list[int], adjoining_ms: int) -> Iterable[list[int]]:
    run = timestamps[:1]
    for timestamp in timestamps[1:]:
        if timestamp - run[-1] > adjoining_ms:
            yield run
            run = []
        run.append(timestamp)
    yield run
