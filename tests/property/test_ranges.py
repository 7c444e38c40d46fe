"""``RangeSet`` behaves like the set of milliseconds that its ranges stand for."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from common.ranges import Range, RangeSet

POINTS = range(30)
edits = st.lists(st.tuples(st.booleans(), st.integers(0, 29), st.integers(0, 29)), max_size=30)


@given(edits)
def test_ranges_are_a_set_of_milliseconds(steps: list[tuple[bool, int, int]]) -> None:
    made, model = RangeSet(), set[int]()
    for adds, one, other in steps:
        if adds:
            made.add(one, other)
            model |= set(range(one, other + 1))
        else:
            made.remove(one, other)
            model -= set(range(one, other + 1))
    held = list(made)
    assert {at for low, high in held for at in range(low, high + 1)} == model
    assert all(high + 1 < low for (_, high), (low, _) in pairwise(held))
    for at in POINTS:
        assert made.overlaps(at, at) == (at in model)
        end = made.end_from(at)
        if at in model:
            assert end is not None
            assert set(range(at, end + 1)) <= model
            assert end + 1 not in model
        else:
            assert end is None
    assert {at for low, high in made.missing(0, 29) for at in range(low, high + 1)} == (
        set(POINTS) - model
    )


RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8)


def _moments(ranges: list[Range]) -> set[int]:
    return {moment for low, high in ranges for moment in range(low, high + 1)}


@given(RANGES)
def test_ranges_are_merged_as_far_as_possible(ranges: list[Range]) -> None:
    coverage = RangeSet()
    for low, high in ranges:
        before = _moments(coverage.ranges)
        assert coverage.add(low, high) == bool(_moments([(low, high)]) - before)
    assert _moments(coverage.ranges) == _moments(ranges)
    assert all(low <= high for low, high in coverage.ranges)
    assert all(one[1] + 1 < other[0] for one, other in pairwise(coverage.ranges))
    assert coverage.end == max(_moments(ranges), default=None)


@given(RANGES, st.integers(0, 40), st.integers(0, 40))
def test_missing_is_the_difference(ranges: list[Range], low: int, high: int) -> None:
    coverage = RangeSet(ranges)
    wanted = _moments([(low, high)])
    missing = coverage.missing(low, high)
    assert _moments(missing) == wanted - _moments(ranges)
    assert missing == RangeSet(missing).ranges
    if wanted:
        assert coverage.covers(low, high) == (not missing)
    end = coverage.end_from(low)
    assert (end is None) == (low not in _moments(ranges))
    if end is not None:
        assert _moments([(low, end)]) <= _moments(ranges)
        assert end + 1 not in _moments(ranges)
