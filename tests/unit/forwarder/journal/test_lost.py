from __future__ import annotations

from forwarder.journal.lost import LOST_RANGES_MAX, lost_ranges
from wire.messages import Lost


def test_losses_that_adjoin_and_have_one_reason_are_one_range() -> None:
    losses = [(5_000, "deleted"), (1_000, "deleted"), (1_900, "deleted"), (2_000, "expired")]
    assert lost_ranges(losses) == [
        Lost(from_=1_000, through=1_900, reason="deleted"),
        Lost(from_=2_000, through=2_000, reason="expired"),
        Lost(from_=5_000, through=5_000, reason="deleted"),
    ]


def test_nothing_lost_is_no_range() -> None:
    assert lost_ranges([]) == []


def test_too_many_ranges_are_joined_and_still_hold_every_loss() -> None:
    # Farther and farther apart, so that the first ones are the nearest.
    times = [1_000 * number * (number + 3) // 2 for number in range(500)]
    ranges = lost_ranges((time, "deleted") for time in times)
    assert len(ranges) <= LOST_RANGES_MAX
    assert len(ranges) > LOST_RANGES_MAX // 2
    assert all(any(one.from_ <= time <= one.through for one in ranges) for time in times)
    assert (ranges[-1].from_, ranges[-1].through) == (times[-1], times[-1])
