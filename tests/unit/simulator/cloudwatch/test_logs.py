from __future__ import annotations

import sys
import tracemalloc

import pytest

from simulator.errors import SimulatorError
from simulator.visibility import Regime
from tests.support.stored_logs import GROUP, NOW, StoredLogs


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
    assert (stored.messages(), stored.logs.hidden) == (["before", "ahead"], 1)
    stored.now_ms += 99
    assert stored.messages() == ["before", "ahead"]
    stored.now_ms += 1
    assert (stored.messages(), stored.logs.hidden) == (["before", "late", "ahead"], 0)


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
    assert len(stored.messages()) + stored.logs.hidden == 200


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
    assert stored.logs.expire("/other", NOW + 1) == 0
    assert stored.logs.expire(GROUP, NOW + 1) == 1
    assert stored.messages() == ["two"]
    assert stored.logs.groups() == [stored.store]


def test_too_many_regimes_are_refused(stored: StoredLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.visibility.REGIMES_MAX", 0)
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
