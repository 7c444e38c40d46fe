from __future__ import annotations

import random
from bisect import bisect_left
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.lines.keys import KeySet, PackedKeys
from tui.lines.rows import RULE_TARGET, line_key
from wire.limits import ID_DIGITS_MAX, TIMESTAMP_MAX

GREATEST = line_key(TIMESTAMP_MAX, "9" * ID_DIGITS_MAX, RULE_TARGET)
keys = st.integers(0, GREATEST)


@given(st.sets(keys, max_size=40), keys)
def test_packed_keys_behave_like_a_sorted_list(held: set[int], other: int) -> None:
    ordered = sorted(held)
    packed = PackedKeys(ordered)
    assert (len(packed), list(packed)) == (len(ordered), ordered)
    assert [packed[at] for at in range(len(ordered))] == ordered
    assert packed.index_of(-1) == 0
    for key in (*ordered, other, other + 1):
        place = packed.index_of(key)
        assert place == bisect_left(ordered, key)
        assert packed.has_at(place, key) == (key in held)
    half = len(ordered) // 2
    assert list(packed.slice(0, half)) == packed.between(0, half) == ordered[:half]
    if other not in held:
        packed.insert(packed.index_of(other), other)
        packed.trim()
        assert list(packed) == sorted([*ordered, other])


def test_a_value_above_every_key_is_clamped() -> None:
    packed = PackedKeys([1, GREATEST])
    assert packed.index_of(1 << 300) == 2
    assert packed[-1] == GREATEST
    for index in (2, -3):
        with pytest.raises(IndexError):
            packed[index]


def test_an_empty_key_set() -> None:
    key_set = KeySet()
    assert len(key_set) == 0
    assert key_set.between(0, 5) == []
    assert key_set.index_of(7) == 0
    assert not key_set.has(7)
    assert key_set.remove(0, 99) == []


def test_a_set_of_all_keys_of_a_block() -> None:
    key_set, keys = KeySet(), PackedKeys(range(100, 200))
    key_set.prepend_flagged(keys, b"\x01" * 100)
    assert key_set.between(98, 500) == [198, 199]
    assert key_set.index_of(150) == 50
    assert key_set.has(199)
    assert not key_set.has(200)
    key_set.prepend_flagged(PackedKeys(range(50)), bytes([1, 0] * 25))
    assert key_set.between(23, 27) == [46, 48, 100, 101]


@given(st.integers(0, 2**32))
def test_a_key_set_behaves_like_a_sorted_list(seed: int) -> None:
    chance = random.Random(seed)
    with patch("tui.lines.keys.PART_KEYS", 4):
        key_set, model, floor = KeySet(), set[int](), 500
        for _ in range(25):
            match chance.randrange(5):
                case 0 | 1 if floor > 30:
                    block = range(floor - 20, floor)
                    flags = bytes(chance.random() < chance.random() * 1.5 for _ in block)
                    if chance.random() < 0.5:
                        key_set.prepend_flagged(PackedKeys(block), flags)
                    else:
                        key_set.prepend(
                            [key for key, flag in zip(block, flags, strict=True) if flag]
                        )
                    model |= {key for key, flag in zip(block, flags, strict=True) if flag}
                    floor -= 20
                case 2:
                    low = chance.randrange(floor, 600)
                    high = low + chance.randrange(30)
                    out = [key for key in sorted(model) if low <= key <= high]
                    assert key_set.remove(low, high) == out
                    model -= set(out)
                case _:
                    key = chance.randrange(floor, 600)
                    key_set.add(key)
                    model.add(key)
            expected = sorted(model)
            assert list(key_set) == expected
            assert len(key_set) == len(expected)
            begin = chance.randrange(-3, 40)
            end = begin + chance.randrange(30)
            assert key_set.between(begin, end) == expected[max(0, begin) : max(0, end)]
            key = chance.randrange(700)
            assert key_set.index_of(key) == sum(one < key for one in expected)
            assert key_set.has(key) == (key in model)
