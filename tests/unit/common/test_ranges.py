from __future__ import annotations

import pytest

from common.ranges import RangeSet


def test_ranges_that_overlap_or_touch_become_one() -> None:
    coverage = RangeSet([(10, 20), (40, 50), (21, 25), (18, 30)])
    assert coverage.ranges == [(10, 30), (40, 50)]
    coverage.add(31, 39)
    assert coverage.ranges == [(10, 50)]


def test_adding_says_whether_anything_changed() -> None:
    coverage = RangeSet([(10, 20)])
    assert not coverage.add(12, 20)
    assert not coverage.add(30, 29)
    assert coverage.add(20, 21)


def test_missing_pieces_of_a_range() -> None:
    coverage = RangeSet([(10, 20), (40, 50)])
    assert coverage.missing(0, 100) == [(0, 9), (21, 39), (51, 100)]
    assert coverage.missing(10, 20) == []
    assert coverage.missing(15, 45) == [(21, 39)]
    assert coverage.missing(22, 30) == [(22, 30)]
    assert coverage.missing(30, 20) == []
    assert RangeSet().missing(1, 2) == [(1, 2)]


def test_how_far_a_moment_is_covered() -> None:
    coverage = RangeSet([(10, 20), (40, 50)])
    assert coverage.end_from(10) == 20
    assert coverage.end_from(21) is None
    assert coverage.end == 50
    assert RangeSet().end is None
    assert coverage.covers(11, 19)
    assert not coverage.covers(11, 41)
    assert 20 in coverage
    assert 9 not in coverage


def test_a_copy_is_independent() -> None:
    coverage = RangeSet([(10, 20)])
    copy = RangeSet(coverage)
    copy.add(21, 30)
    assert (coverage.ranges, copy.ranges) == ([(10, 20)], [(10, 30)])


def ranges(*pairs: tuple[int, int]) -> RangeSet:
    made = RangeSet()
    for pair in pairs:
        made.add(*pair)
    return made


def test_ranges_that_touch_are_one() -> None:
    assert list(ranges((1, 3), (7, 9), (4, 6))) == [(1, 9)]


def test_ranges_with_a_hole_between_stay_apart() -> None:
    made = ranges((1, 3), (5, 9))
    assert list(made) == [(1, 3), (5, 9)]
    assert len(made) == 2
    assert made.end_from(1) == 3
    assert made.end_from(4) is None


def test_an_empty_range_changes_nothing() -> None:
    made = ranges((5, 4))
    assert list(made) == []
    made.remove(5, 4)
    assert made.end_from(5) is None


def test_removing_cuts_a_range_in_two() -> None:
    made = ranges((1, 9))
    made.remove(4, 5)
    assert list(made) == [(1, 3), (6, 9)]


def test_removing_what_is_not_there() -> None:
    made = ranges((1, 2), (8, 9))
    made.remove(3, 7)
    assert list(made) == [(1, 2), (8, 9)]


@pytest.mark.parametrize(
    ("from_", "through", "missing"),
    [(1, 9, [(3, 4), (7, 9)]), (5, 6, []), (0, 0, [(0, 0)]), (2, 5, [(3, 4)])],
)
def test_what_is_missing(from_: int, through: int, missing: list[tuple[int, int]]) -> None:
    made = ranges((1, 2), (5, 6))
    assert made.missing(from_, through) == missing
    assert made.covers(from_, through) is (not missing)


def test_covering_and_overlapping() -> None:
    made = ranges((1, 2), (5, 6))
    assert made.covers(5, 6)
    assert not made.covers(2, 5)
    assert made.covers(9, 8)
    assert made.overlaps(2, 4)
    assert not made.overlaps(3, 4)
    made.clear()
    assert not made.overlaps(0, 100)
