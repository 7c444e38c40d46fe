from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.lines.keys import Keys
from tui.lines.rows import RULE_LANE, line_key
from wire.limits import ID_DIGITS_MAX, TIMESTAMP_MAX

GREATEST = line_key(TIMESTAMP_MAX, "9" * ID_DIGITS_MAX, RULE_LANE)
keys = st.integers(0, GREATEST)


@given(st.sets(keys, max_size=40), keys)
def test_they_are_a_sorted_list(held: set[int], other: int) -> None:
    ordered = sorted(held)
    packed = Keys(ordered)
    assert (len(packed), list(packed)) == (len(ordered), ordered)
    assert [packed[at] for at in range(len(ordered))] == ordered
    assert packed.index_of(-1) == 0
    for key in (*ordered, other, other + 1):
        place = packed.index_of(key)
        assert place == bisect_left(ordered, key)
        assert packed.has_at(place, key) == (key in held)
    half = len(ordered) // 2
    assert list(packed.part(0, half)) == packed.between(0, half) == ordered[:half]
    if other not in held:
        packed.insert(packed.index_of(other), other)
        packed.trim()
        assert list(packed) == sorted([*ordered, other])


def test_what_is_beyond_every_key_is_above_them() -> None:
    packed = Keys([1, GREATEST])
    assert packed.index_of(1 << 300) == 2
    assert packed[-1] == GREATEST
    for index in (2, -3):
        with pytest.raises(IndexError):
            packed[index]
