from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.cloudwatch import events as module
from simulator.cloudwatch.events import KEY_END, Event, Events, Ids, first_key


def made(*keys: int) -> list[Event]:
    return [(key, 0, "s", f"m{key}") for key in sorted(keys)]


def keys(events: Events, low: int = 0, high: int = KEY_END) -> list[int]:
    return [event[0] for event in events.between(low, high)]


def test_ids_are_56_digits_that_say_the_timestamp_and_sort_like_keys() -> None:
    ids = Ids(1_700_000_000_000)
    early = ids.of(first_key(1_700_000_000_001) | 7)
    late = ids.of(first_key(1_700_000_000_001) | 8)
    assert len(early) == 56
    assert int(early) >> 144 == 1_700_000_000_001
    assert early < late < ids.of(first_key(1_700_000_000_002))


def test_another_process_gives_other_ids() -> None:
    assert Ids(1).of(first_key(5)) != Ids(2).of(first_key(5))


def test_nothing_is_found_where_nothing_is() -> None:
    events = Events()
    events.insert([])
    assert keys(events) == []
    assert list(events.backwards(0, KEY_END)) == []
    assert (events.first, events.last, len(events)) == (None, None, 0)
    assert events.remove_before(5) == []


SORTED = st.lists(st.sets(st.integers(0, 60), min_size=1, max_size=20), max_size=12)


@given(batches=SORTED, low=st.integers(0, 61), high=st.integers(0, 61), cut=st.integers(0, 61))
def test_it_is_a_sorted_list(batches: list[set[int]], low: int, high: int, cut: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_EVENTS", 3)
        events, model = Events(), set[int]()
        for batch in batches:
            events.insert(made(*(batch - model)))
            model |= batch
        wanted = sorted(key for key in model if low <= key < high)
        assert keys(events, low, high) == wanted
        assert [event[0] for event in events.backwards(low, high)] == wanted[::-1]
        ends = (events.first, events.last)
        assert ends == ((made(min(model))[0], made(max(model))[0]) if model else (None, None))
        gone = {key for key in model if key % 3 == 0}
        events.remove(made(*gone))
        model -= gone
        assert [event[0] for event in events.remove_before(cut)] == sorted(
            key for key in model if key < cut
        )
        assert keys(events) == sorted(key for key in model if key >= cut)
        assert len(events) == len(keys(events))
