from __future__ import annotations

from simulator.cloudwatch.events import KEY_END, first_key
from simulator.cloudwatch.store import GroupStore, StreamStore, StreamTimes


def stored() -> GroupStore:
    store = GroupStore("/g")
    store.streams = {"a": StreamStore(), "b": StreamStore()}
    store.insert([(first_key(at) | at, at, "ab"[at % 2], f"m{at}") for at in range(1, 7)])
    return store


def messages(store: GroupStore, streams: list[str] | None, *, descending: bool = False) -> str:
    found = store.read(streams, 0, KEY_END, descending=descending)
    return "".join(event[3].removeprefix("m") for event in found)


def test_log_streams_are_merged_or_chosen() -> None:
    store = stored()
    assert messages(store, None) == "123456"
    assert messages(store, None, descending=True) == "654321"
    assert messages(store, ["a"]) == "246"
    assert messages(store, ["b", "a"]) == "123456"
    assert messages(store, ["b", "a"], descending=True) == "654321"
    assert messages(store, []) == ""


def test_a_deleted_log_stream_takes_its_events_and_takes_no_more() -> None:
    store = stored()
    store.delete_stream("a")
    store.delete_stream("never there")
    store.insert([(first_key(9), 9, "a", "m9")])
    assert messages(store, None) == "135"
    assert len(store) == 3


def test_what_expires_is_gone_everywhere() -> None:
    store = stored()
    assert store.expire(4) == 3
    assert (messages(store, None), messages(store, ["a"]), messages(store, ["b"])) == (
        "456",
        "46",
        "5",
    )
    store.retain(1_000)
    assert len(store) == 3
    store.retention_ms = 5
    store.retain(10)
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
