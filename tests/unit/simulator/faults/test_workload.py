"""What each fault of the workload writes."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from simulator.acceptance import BATCH_BYTES_MAX, NewEvent, batches, event_bytes
from simulator.errors import SimulatorError
from simulator.faults.base import DAY_MS, Cycle, Fault
from simulator.faults.board import FAULTS
from simulator.faults.workload import WORKLOAD
from simulator.workload.workload import LIFECYCLE_PATTERN
from tests.support.simulator.harm_recorder import HarmRecorder

NOW_MS = 1_800_000_000_000
STREAMS = ["job/main/a", "job/main/b"]


def make(kind: str, toxicity: float = 1.0, **given: int) -> Fault:
    return Fault(FAULTS[kind], "mine", given, toxicity, 9)


def written(fault: Fault, turn: int = 0, streams: list[str] = STREAMS) -> list[NewEvent]:
    """What one turn writes, in the order of writing."""
    levers = HarmRecorder()
    levers.turn(fault, turn)
    return [event for compose in levers.composed for event in compose(NOW_MS, streams)]


@pytest.mark.parametrize("kind", [one.type for one in WORKLOAD])
def test_all_of_them(kind: str) -> None:
    fault = make(kind)
    events = written(fault)
    assert events
    assert events == written(make(kind)), "it follows from the seed"
    assert batches(events, NOW_MS), "CloudWatch takes it"
    assert written(fault, streams=[]) == [], "nobody is there to write"
    assert fault.cycle() == Cycle(on_ms=0)
    assert make(kind, every_ms=70).cycle() == Cycle(on_ms=0, every_ms=70)


@pytest.mark.parametrize("kind", ["new_stream", "burst", "last_words"])
def test_turns_differ(kind: str) -> None:
    assert written(make(kind), 0) != written(make(kind), 1)


def test_identical_messages() -> None:
    assert set(Counter(written(make("identical_messages", events=30))).values()) == {30}
    counts = Counter(written(make("identical_messages", 0.5, events=100)))
    assert 30 < max(counts.values()) < 70


def test_blank_messages() -> None:
    messages = {event.message for event in written(make("blank_messages"))}
    assert {" ", "\t", "\n"} <= messages
    assert all(len(message) >= 1 for message in messages)
    assert not any(message.strip().strip("\u200b") for message in messages)
    assert {event.message for event in written(make("blank_messages", 0.0))} == {"not blank"}


def test_late_events() -> None:
    def late_by(toxicity: float = 1.0, **given: int) -> set[int]:
        events = written(make("late_events", toxicity, **given))
        return {NOW_MS - event.timestamp for event in events}

    assert late_by() == {60_000}
    assert late_by(0.0) == {0}
    drawn = late_by(jitter_ms=50_000)
    assert len(drawn) > 10
    assert all(10_000 <= by_ms <= 110_000 for by_ms in drawn)
    assert late_by(late_ms=14 * DAY_MS) == {14 * DAY_MS - 60_000}
    assert min(late_by(late_ms=0, jitter_ms=9_000)) == 0, "late is never early"


def test_future_events() -> None:
    def ahead_by(toxicity: float = 1.0, **given: int) -> set[int]:
        events = written(make("future_events", toxicity, **given))
        return {event.timestamp - NOW_MS for event in events}

    assert ahead_by() == {600_000}
    assert ahead_by(0.0) == {0}
    most_ms = 2 * 3_600_000 - 10_000
    assert max(ahead_by(ahead_ms=most_ms, jitter_ms=1_000_000)) == most_ms


def test_batches_are_written_newest_first() -> None:
    fault = make("out_of_order_batches", batches=4, events=10, step_ms=5_000)
    levers = HarmRecorder()
    levers.turn(fault)
    assert len(levers.composed) == 4
    begins = [min(event.timestamp for event in one(NOW_MS, STREAMS)) for one in levers.composed]
    assert begins == [NOW_MS, NOW_MS - 5_000, NOW_MS - 10_000, NOW_MS - 15_000]
    with pytest.raises(SimulatorError, match="must be at most"):
        make("out_of_order_batches", batches=14, step_ms=DAY_MS)


def test_a_burst_spreads_over_its_span() -> None:
    events = written(make("burst", events=1_000, span_ms=500))
    times = [event.timestamp for event in events]
    assert (min(times), max(times)) == (NOW_MS - 500, NOW_MS - 1)
    assert len(events) == 1_000
    assert any("Traceback" in event.message for event in events)
    assert any(event.message.startswith("{") for event in events)
    assert 400 < len(written(make("burst", 0.5, events=1_000))) < 600


def test_huge_events_are_as_large_as_can_be() -> None:
    sizes = {event_bytes(event.message) for event in written(make("huge_event"))}
    assert sizes == {BATCH_BYTES_MAX}
    sizes = {event_bytes(event.message) for event in written(make("huge_event", bytes=1_000))}
    assert sizes == {1_026}
    assert all(len(event.message) < 100 for event in written(make("huge_event", 0.0)))


def test_hostile_lines_are_as_large_as_can_be() -> None:
    events = written(make("hostile_lines"))
    sizes = [event_bytes(event.message) for event in events]
    assert all(BATCH_BYTES_MAX - 20 < size <= BATCH_BYTES_MAX for size in sizes)
    assert any(event.message.count("\t") > 1_000_000 for event in events)
    assert any(event.message.endswith("a" * 1_000_000) for event in events)
    assert all(len(event.message) < 100 for event in written(make("hostile_lines", 0.0)))


def test_new_streams() -> None:
    events = written(make("new_stream", streams=2, events=5))
    assert len({event.stream for event in events}) == 2
    assert not {event.stream for event in events} & set(STREAMS)
    assert {event.stream for event in written(make("new_stream", 0.0))} == set(STREAMS)


def test_terminal_escapes() -> None:
    text = "".join(event.message for event in written(make("terminal_escapes")))
    assert all(one in text for one in "\x1b\x9b\x07\x00\u202e\u200b\ud83d\udc00\u2028")
    plain = {event.message for event in written(make("terminal_escapes", 0.0, rounds=3))}
    assert plain == {"INFO  plain"}


def test_last_words() -> None:
    events = written(make("last_words", 0.5, events=100, after=7))
    (stream,) = {event.stream for event in events}
    assert stream.startswith("job/main/")
    assert len(events) == 1 + 100 + 1 + 7
    last = events[101]
    ending = re.search(LIFECYCLE_PATTERN, last.message)
    assert ending is not None
    assert ending["FAILED"]
    assert last.timestamp == NOW_MS
    assert 30 < sum(event.timestamp == NOW_MS for event in events[:101]) < 70
    assert all(event.timestamp < NOW_MS for event in events[102:])


SHARED_STREAMS = ["s/1", "s/2", "s/3"]


def test_10000_different_events_in_one_millisecond_over_all_streams() -> None:
    levers = HarmRecorder()
    levers.turn(make("duplicate_timestamps"))
    (compose,) = levers.composed
    events = list(compose(77, SHARED_STREAMS))
    assert len(set(events)) == len({event.message for event in events}) == 10_000
    assert {event.timestamp for event in events} == {77}
    assert set(Counter(event.stream for event in events).values()) == {3_333, 3_334}
    assert levers.calls == [("submit",)]


def test_toxicity_is_the_share_in_that_millisecond() -> None:
    events = written(make("duplicate_timestamps", 0.5, events=1_000))
    times = Counter(event.timestamp for event in events)
    assert set(times) == {NOW_MS, NOW_MS + 1}
    assert 400 < times[NOW_MS] < 600
    assert written(make("duplicate_timestamps", 0.5, events=1_000)) == events


def test_bursts_differ_from_turn_to_turn() -> None:
    fault = make("duplicate_timestamps", events=10)
    assert not set(written(fault, 0)) & set(written(fault, 1))
