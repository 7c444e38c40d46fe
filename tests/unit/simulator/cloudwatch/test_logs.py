"""tests.unit.simulator.cloudwatch.test_logs."""

from __future__ import annotations

import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.acceptance import Regime
from simulator.cloudwatch import logs as module
from simulator.cloudwatch.logs import (
    KEY_END,
    TOKEN_MS,
    Event,
    Events,
    GroupStore,
    Ids,
    StreamStore,
    StreamTimes,
    TokenError,
    Tokens,
    first_key,
)
from simulator.errors import SimulatorError
from tests.support.simulator.stored_logs import NOW, StoredLogs


@pytest.fixture
def stored() -> StoredLogs:
    return StoredLogs("a", "b")


def delay(stored: StoredLogs, delay_ms: int, name: str = "x", toxicity: float = 1.0) -> None:
    begin_ms = stored.now_ms + 1
    stored.logs.impose(Regime(name, delay_ms, 0, toxicity, 1, begin_ms=begin_ms))
    stored.now_ms += 1


def test_hidden_events_are_shown_at_their_time_and_in_their_place(stored: StoredLogs) -> None:
    stored.put("a", (0, "before"), (50, "ahead"))
    delay(stored, 100)
    stored.put("b", (10, "late"))
    assert (stored.messages(), len(stored.logs._hidden)) == (["before", "ahead"], 1)
    stored.now_ms += 99
    assert stored.messages() == ["before", "ahead"]
    stored.now_ms += 1
    assert (stored.messages(), len(stored.logs._hidden)) == (["before", "late", "ahead"], 0)


def test_healing_shows_everything_at_once(stored: StoredLogs) -> None:
    delay(stored, 100)
    stored.put("a", (0, "one"))
    delay(stored, 200, "y")
    stored.put("a", (1, "two"))
    stored.logs.heal("y", stored.now_ms)
    assert stored.messages() == []
    stored.logs.heal("x", stored.now_ms)
    assert stored.messages() == ["one", "two"]


def test_a_share_of_the_events_is_hidden(stored: StoredLogs) -> None:
    delay(stored, 100, toxicity=0.5)
    stored.put("a", *((at, f"m{at}") for at in range(200)))
    assert 60 < len(stored.messages()) < 140
    assert len(stored.messages()) + len(stored.logs._hidden) == 200


def test_hidden_events_are_in_no_log_streams_times(stored: StoredLogs) -> None:
    delay(stored, 100)
    stored.put("a", (0, "one"))
    (first, _) = stored.ask("DescribeLogStreams")["logStreams"]
    assert "lastEventTimestamp" not in first


def test_what_was_hidden_of_a_deleted_log_stream_is_dropped(stored: StoredLogs) -> None:
    delay(stored, 100)
    stored.put("a", (0, "one"))
    stored.store.delete_stream("a")
    stored.now_ms += 200
    assert stored.messages() == []


def test_ingestion_times_never_go_back(stored: StoredLogs) -> None:
    stored.put("a", (0, "one"))
    stored.now_ms -= 5_000
    stored.put("a", (0, "two"))
    events = stored.ask("FilterLogEvents")["events"]
    assert [event["ingestionTime"] for event in events] == [NOW, NOW]
    assert events[0]["eventId"] < events[1]["eventId"]


def test_retention_can_be_made_to_take_events(stored: StoredLogs) -> None:
    stored.put("a", (0, "one"), (1, "two"))
    assert stored.store.expire(NOW + 1) == 1
    assert stored.messages() == ["two"]


def test_too_many_regimes_are_refused(stored: StoredLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.acceptance.REGIMES_MAX", 0)
    with pytest.raises(SimulatorError):
        delay(stored, 5)


def test_an_event_of_100_characters_takes_450_bytes_at_most(stored: StoredLogs) -> None:
    # Each event is a timestamp and a message of its own, as they come from a request.
    batches = [
        [(NOW + number, f"{number:0100d}") for number in range(start, start + 1_000)]
        for start in range(0, 20_000, 1_000)
    ]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for batch in batches:
            stored.logs.put(stored.store, "a", [(at, message) for at, message in batch])
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    messages = sum(sys.getsizeof(message) for batch in batches for _, message in batch)
    assert len(stored.store) == 20_000
    assert (grown + messages) / 20_000 <= 450


def stored_events() -> GroupStore:
    store = GroupStore("/g")
    store.streams = {"a": StreamStore(), "b": StreamStore()}
    store.insert([(first_key(at) | at, at, "ab"[at % 2], f"m{at}") for at in range(1, 7)])
    return store


def messages(store: GroupStore, streams: list[str] | None, *, descending: bool = False) -> str:
    found = store.read(streams, 0, KEY_END, descending=descending)
    return "".join(event[3].removeprefix("m") for event in found)


def test_log_streams_are_merged_or_chosen() -> None:
    store = stored_events()
    assert messages(store, None) == "123456"
    assert messages(store, None, descending=True) == "654321"
    assert messages(store, ["a"]) == "246"
    assert messages(store, ["b", "a"]) == "123456"
    assert messages(store, ["b", "a"], descending=True) == "654321"
    assert messages(store, []) == ""


def test_a_deleted_log_stream_takes_its_events_and_takes_no_more() -> None:
    store = stored_events()
    store.delete_stream("a")
    store.delete_stream("never there")
    store.insert([(first_key(9), 9, "a", "m9")])
    assert messages(store, None) == "135"
    assert len(store) == 3


def test_what_expires_is_gone_everywhere() -> None:
    store = stored_events()
    assert store.expire(4) == 3
    assert (messages(store, None), messages(store, ["a"]), messages(store, ["b"])) == (
        "456",
        "46",
        "5",
    )
    store.apply_retention(1_000)
    assert len(store) == 3
    store.retention_ms = 5
    store.apply_retention(10)
    assert messages(store, None) == "56"


def test_times_may_be_behind() -> None:
    stream = StreamStore(created_ms=100)
    assert stream.times(100, 0) == StreamTimes()
    stream.events.insert([(first_key(7), 105, "a", "m")])
    stream.last_ingestion_ms = 105
    assert stream.times(149, 50) == StreamTimes()
    assert stream.times(150, 50) == StreamTimes(7, 7, 105)
    stream.events.insert([(first_key(9), 160, "a", "m")])
    assert stream.times(160, 50) == StreamTimes(7, 7, 105)
    assert stream.times(161, 0) == StreamTimes(7, 9, 105)


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


def test_a_token_says_its_position_and_is_unlike_every_other() -> None:
    tokens = Tokens()
    one, two = tokens.issue("r", "a.\ud83d.7", 5), tokens.issue("r", "a.\ud83d.7", 5)
    assert one != two
    assert tokens.read("r", one, 5) == tokens.read("r", two, 5) == "a.\ud83d.7"


@pytest.mark.parametrize("token", ["x", "", "AAAA", "ä", "f/1", "A" * 40])
def test_a_malformed_token_is_refused(token: str) -> None:
    with pytest.raises(TokenError):
        Tokens().read("r", token, 5)


def test_tokens_of_other_requests_and_processes_are_refused() -> None:
    tokens = Tokens()
    token = tokens.issue("r", "1", 5)
    for reader, request in ((tokens, "s"), (Tokens(), "r")):
        with pytest.raises(TokenError):
            reader.read(request, token, 5)


def test_a_token_is_good_for_a_day() -> None:
    tokens = Tokens()
    token = tokens.issue("r", "1", 5)
    assert tokens.read("r", token, 5 + TOKEN_MS) == "1"
    with pytest.raises(TokenError):
        tokens.read("r", token, 6 + TOKEN_MS)


def test_tokens_can_be_made_to_expire() -> None:
    tokens = Tokens()
    old = tokens.issue("r", "1", 5)
    tokens.expire(5)
    with pytest.raises(TokenError):
        tokens.read("r", old, 5)
    assert tokens.read("r", tokens.issue("r", "1", 6), 6) == "1"
