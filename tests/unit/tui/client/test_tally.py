from __future__ import annotations

import pytest

from tui.client.tally import CHUNK_EVENTS, AddResult, Tally, Total
from wire.digest import MODULUS

ALL = 1 << 300


def filled(count: int, *, base: int = 0) -> Tally:
    """Keys 10, 20, …; the digest of each is its key, its seq its place from 1."""
    tally = Tally(base)
    keys = [10 * number for number in range(1, count + 1)]
    assert tally.add_many(keys, keys, range(1, count + 1)) is None
    return tally


def test_in_order_everything_is_new() -> None:
    tally = filled(3)
    assert len(tally) == 3
    assert tally.total(0, ALL, 3) == Total(3, 60)


def test_a_duplicate_is_recognised_and_counts_once() -> None:
    tally = filled(3)
    assert tally.add_many([20, 25], [20, 25], [2, 4]) == [AddResult.DUPLICATE, AddResult.NEW]
    assert tally.total(0, ALL, 4) == Total(4, 85)


def test_later_events_do_not_count_as_of_an_earlier_seq() -> None:
    tally = filled(5)
    assert tally.total(0, ALL, 3) == Total(3, 60)
    assert tally.total(15, 35, 2) == Total(1, 20)


def test_a_range_over_many_chunks_is_the_sum_of_its_parts() -> None:
    count = 5 * CHUNK_EVENTS + 7
    tally = filled(count)
    low, high = 1_005, 10 * count - 5_000
    whole = tally.total(low, high, count)
    middle = 20_000
    one, other = tally.total(low, middle, count), tally.total(middle + 1, high, count)
    assert whole == Total(one.count + other.count, (one.digest + other.digest) % MODULUS)
    assert whole.count == len([key for key in range(10, 10 * count + 1, 10) if low <= key <= high])


def test_late_events_split_a_chunk_and_its_sums() -> None:
    tally = filled(CHUNK_EVENTS)
    for extra in range(2 * CHUNK_EVENTS):
        assert tally.add(11 + extra * 3 if (11 + extra * 3) % 10 else 1, 7, 5_000) is not None
    held = tally.keys_between(0, ALL, 10_000)
    assert held == sorted(set(held))
    assert tally.total(0, ALL, 10_000).count == len(tally) == len(held)


def test_the_digest_stays_below_its_modulus() -> None:
    tally = Tally()
    tally.add_many([1, 2], [MODULUS - 1, 2], [1, 2])
    assert tally.total(0, ALL, 2) == Total(2, 1)


def test_after_a_rebase_everything_is_held_and_nothing_counts() -> None:
    tally = filled(3)
    tally.unconfirm_all()
    assert (len(tally), tally.unconfirmed) == (3, 3)
    assert tally.total(0, ALL, 100) == Total(0, 0)
    assert tally.add(20, 20, 71) is AddResult.CONFIRMED
    assert tally.unconfirmed == 2
    assert tally.total(0, ALL, 100) == Total(1, 20)
    assert tally.total(0, ALL, 70) == Total(0, 0)


def test_changed_content_replaces_the_digest() -> None:
    tally = filled(2)
    assert tally.add(20, 99, 2) is AddResult.CONFIRMED
    assert tally.total(0, ALL, 2) == Total(2, 109)


def test_unconfirmed_events_stop_counting() -> None:
    tally = filled(4)
    tally.unconfirm([20, 30])
    tally.unconfirm([20])
    assert tally.unconfirmed == 2
    assert tally.total(0, ALL, 4) == Total(2, 50)


def test_nothing_up_to_the_base_counts() -> None:
    tally = filled(4, base=2)
    assert tally.total(0, ALL, 4) == Total(2, 70)
    assert tally.keys_between(0, ALL, 3) == [30]
    tally.unconfirm([10, 30])
    assert tally.total(0, ALL, 4) == Total(1, 40)
    tally.base = 0
    assert tally.base == 0
    assert tally.total(0, ALL, 4) == Total(2, 60)


def test_events_above_a_key_are_counted_confirmed_or_not() -> None:
    tally = filled(3 * CHUNK_EVENTS)
    tally.unconfirm([30])
    assert tally.count_above(20) == 3 * CHUNK_EVENTS - 2
    assert tally.count_above(ALL) == 0
    assert tally.count_above(0) == 3 * CHUNK_EVENTS


def test_beyond_the_limit_the_oldest_chunks_are_dropped() -> None:
    tally = filled(3 * CHUNK_EVENTS)
    assert tally.drop_oldest(3 * CHUNK_EVENTS) is None
    assert tally.drop_oldest(2 * CHUNK_EVENTS) == 10 * CHUNK_EVENTS
    assert len(tally) == 2 * CHUNK_EVENTS
    assert tally.total(0, ALL, ALL).count == 2 * CHUNK_EVENTS


@pytest.mark.parametrize("keys", [[30, 20], [20, 20], []])
def test_batches_that_are_not_ascending(keys: list[int]) -> None:
    tally = Tally()
    tally.add_many(keys, keys, [1] * len(keys))
    assert len(tally) == len(set(keys))
