"""The gaps of one connection for events found lost: few, and over every lost event."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forwarder.delivery.declared import LOST_APART_MS, LOST_GAPS_MAX, LostGaps
from wire.messages import Lost

REASONS = ("gone", "altered")


def lost(at: int, reason: str = "gone") -> Lost:
    return Lost(from_=at, through=at, reason=reason)


def test_neighbours_share_a_gap_that_keeps_its_id() -> None:
    gaps = LostGaps([lost(5)])
    assert gaps.undeclared([5, 6]) == [6]
    first = gaps.declare(lost(10_000))
    wider = gaps.declare(lost(10_000 + LOST_APART_MS))
    assert (wider.id, wider.from_, wider.through) == (first.id, 10_000, 10_000 + LOST_APART_MS)
    other = gaps.declare(lost(10_000, "altered"))
    assert other.id != first.id or other.reason != first.reason
    assert gaps.undeclared([9_999, 10_500]) == [9_999]


@given(st.lists(st.tuples(st.integers(0, 10**7), st.sampled_from(REASONS)), max_size=400))
def test_every_loss_is_declared_by_few_gaps(losses: list[tuple[int, str]]) -> None:
    gaps, by_id = LostGaps(()), {}
    for at, reason in losses:
        for one in gaps.undeclared([at]):
            gap = gaps.declare(lost(one, reason))
            by_id[gap.id, gap.reason] = gap
        assert gaps.undeclared([at]) == []
        assert any(gap.from_ <= at <= gap.through for gap in by_id.values())
    assert len(by_id) <= LOST_GAPS_MAX + len(REASONS)
