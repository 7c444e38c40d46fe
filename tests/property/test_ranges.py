from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from common.ranges import RangeSet

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
