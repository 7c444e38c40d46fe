from __future__ import annotations

from tests.peers.load import STREAMS, Event, Plan
from tests.peers.rig import judge
from tests.peers.tools import Seen, numbers

START_MS = 1_000_000


def events(plan: Plan, seconds: int) -> list[Event]:
    return [
        event
        for second in range(seconds + 1)
        for batch in plan.due(second, START_MS + second * 1_000).values()
        for event in batch
    ]


def test_a_steady_plan_writes_every_number_once() -> None:
    written = events(Plan("steady", rate=100, seed=1), 10)
    assert sorted(event.number for event in written) == list(range(1_000))
    assert {event.stream for event in written} == set(STREAMS)


def test_a_tenth_is_late() -> None:
    written = events(Plan("late", rate=100, seed=1), 10)
    stale = [event for event in written if event.timestamp % 1_000]
    assert 70 <= len(stale) <= 130
    again = events(Plan("late", rate=100, seed=1), 10)
    assert again == written


def test_buffered_events_are_written_at_the_flush() -> None:
    plan = Plan("flush", rate=100, seed=1)
    first = plan.due(4.0, START_MS)
    assert set(first) == {STREAMS[0]}
    second = plan.due(5.0, START_MS + 1_000)
    assert len(second[STREAMS[1]]) == 250
    assert plan.take_buffered() == []


def test_the_judge_counts_faults() -> None:
    accepted = {n: (Event(n, STREAMS[0], START_MS + n), 0) for n in range(5)}
    shown = [Seen(n, 2_000_000 * (n + 1)) for n in (0, 2, 1, 1, 3)]
    result = judge("x", accepted, shown, died=False)
    assert (result.lost, result.duplicated, result.misordered) == (1, 1, 1)
    assert result.lag_p50_ms == 6
    assert list(numbers(accepted[3][0].message)) == [3]
