from __future__ import annotations

from collections import Counter

from simulator.faults.base import Cycle
from simulator.faults.duplicate_timestamps import DuplicateTimestamps
from tests.support.levers import Remembered

STREAMS = ["s/1", "s/2", "s/3"]


def test_10000_different_events_in_one_millisecond_over_all_streams() -> None:
    levers, fault = Remembered(), DuplicateTimestamps("x", {}, 1.0, 1)
    fault.start(levers.levers(), 0)
    (compose,) = levers.composed
    events = list(compose(77, STREAMS))
    assert len(set(events)) == len({event.message for event in events}) == 10_000
    assert {event.timestamp for event in events} == {77}
    assert set(Counter(event.stream for event in events).values()) == {3_333, 3_334}
    fault.stop(levers.levers())
    assert levers.calls == [("submit",)]


def test_toxicity_is_the_share_in_that_millisecond() -> None:
    fault = DuplicateTimestamps("x", {"events": 1_000}, 0.5, 1)
    times = Counter(event.timestamp for event in fault.burst(0, 77, STREAMS))
    assert set(times) == {77, 78}
    assert 400 < times[77] < 600
    assert fault.burst(0, 77, STREAMS) == fault.burst(0, 77, STREAMS)


def test_bursts_differ_from_turn_to_turn() -> None:
    fault = DuplicateTimestamps("x", {"events": 10}, 1.0, 1)
    assert not set(fault.burst(0, 77, STREAMS)) & set(fault.burst(1, 77, STREAMS))


def test_without_streams_there_is_nothing_to_write_to() -> None:
    assert DuplicateTimestamps("x", {}, 1.0, 1).burst(0, 77, []) == []


def test_it_happens_in_an_instant_once_or_again_and_again() -> None:
    assert DuplicateTimestamps("x", {}, 1.0, 1).cycle() == Cycle(on_ms=0)
    again = DuplicateTimestamps("x", {"every_ms": 50}, 1.0, 1)
    assert again.cycle() == Cycle(on_ms=0, every_ms=50)
