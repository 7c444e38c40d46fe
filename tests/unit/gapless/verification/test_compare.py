from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.verification import compare
from gapless.verification.compare import Comparison, OrderError, Side, SideEvent
from wire.digest import event_digest


def seen(number: int, timestamp: int | None = None, message: str = "x") -> SideEvent:
    return SideEvent(str(number), number if timestamp is None else timestamp, "s", message)


def compared(
    theirs: list[SideEvent],
    ours: list[SideEvent],
    page: int = 3,
    *,
    comparison: Comparison | None = None,
) -> Comparison:
    """Both sides in pages, whichever is behind first."""
    comparison = comparison or Comparison()
    left = {"cloudwatch": list(theirs), "forwarder": list(ours)}
    while (side := comparison.behind) is not None:
        if left[side]:
            comparison.add_page(side, left[side][:page])
            left[side] = left[side][page:]
        else:
            comparison.end_side(side)
    return comparison


def found(comparison: Comparison) -> set[tuple[str, str]]:
    return {(one.kind, one.event.id) for one in comparison.differences}


def test_alike_in_another_order_within_a_millisecond() -> None:
    theirs = [seen(1, 5), seen(2, 5), seen(3, 5), seen(4, 5), seen(5, 6)]
    ours = [theirs[at] for at in (3, 1, 0, 2, 4)]
    comparison = compared(theirs, ours, page=2)
    assert comparison.equal == 5
    assert not comparison.differences
    assert comparison.count("cloudwatch") == comparison.count("forwarder") == 5
    assert comparison.digest == sum(
        event_digest(one.id, one.timestamp, one.stream, one.message) for one in ours
    )


def test_each_kind_of_difference() -> None:
    theirs = [seen(1), seen(2), seen(3, message="new"), seen(9)]
    ours = [seen(1), seen(3, message="old"), seen(4), seen(9), seen(9)]
    comparison = compared(theirs, ours)
    assert found(comparison) == {
        ("missing", "2"),
        ("altered", "3"),
        ("surplus", "4"),
        ("doubled", "9"),
    }
    assert comparison.equal == 2


def test_one_side_has_nothing() -> None:
    assert found(compared([seen(1)], [])) == {("missing", "1")}
    assert found(compared([], [seen(1)])) == {("surplus", "1")}
    assert compared([], []).differences == []


def test_a_side_that_goes_back_in_time_can_not_be_compared() -> None:
    comparison = Comparison()
    comparison.add_page("forwarder", [seen(5)])
    with pytest.raises(OrderError, match="event 4 of 4 comes after 5"):
        comparison.add_page("forwarder", [seen(4)])


def test_the_time_reached_is_known() -> None:
    comparison = Comparison()
    assert (comparison.behind, comparison.reached_ms) == ("cloudwatch", None)
    comparison.add_page("cloudwatch", [seen(5), seen(8)])
    assert comparison.behind == "forwarder"
    comparison.add_page("forwarder", [seen(5), seen(9)])
    assert (comparison.behind, comparison.reached_ms) == ("cloudwatch", 8)


def test_differences_beyond_the_limit_are_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "LISTED_MAX", 3)
    comparison = compared([seen(number) for number in range(10)], [])
    assert len(comparison.differences) == 3
    assert comparison.counts["missing"] == 10


class Watched(Comparison):
    """Remembers how much waited at most."""

    most = 0

    def take(self, side: Side, events: Sequence[SideEvent]) -> None:
        super().add_page(side, events)
        self.most = max(self.most, sum(len(lane.waiting) for lane in self._sides.values()))


def test_only_pages_wait_however_many_events_there_are() -> None:
    events = [seen(number) for number in range(5_000)]
    watched = Watched()
    compared(events, events[:2_000] + events[3_000:], page=10, comparison=watched)
    assert watched.counts["missing"] == 1_000
    assert watched.most <= 30


EVENTS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6)), max_size=30, unique=True)


@given(EVENTS, EVENTS, st.integers(1, 5))
def test_it_finds_what_sets_find(
    theirs: list[tuple[int, int]], ours: list[tuple[int, int]], page: int
) -> None:
    def events(pairs: list[tuple[int, int]]) -> list[SideEvent]:
        ordered = sorted(pairs, key=lambda one: one[0])
        return [SideEvent(f"{at * 10 + n}", at, "s", "") for at, n in ordered]

    comparison = compared(events(theirs), events(ours), page)
    ids = [{one.id for one in events(pairs)} for pairs in (theirs, ours)]
    assert found(comparison) == {("missing", one) for one in ids[0] - ids[1]} | {
        ("surplus", one) for one in ids[1] - ids[0]
    }
    assert comparison.equal == len(ids[0] & ids[1])
