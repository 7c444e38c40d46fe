"""tests.unit.simulator.workload.test_workload."""

from __future__ import annotations

import itertools
import json
import re
from random import Random

import pytest

from simulator.acceptance import NewEvent
from simulator.errors import SimulatorError
from simulator.workload.workload import (
    HISTORY_EVENTS,
    HISTORY_MS,
    LENGTH_MS,
    LIFECYCLE_PATTERN,
    Outcome,
    Workload,
    first_message,
    last_message,
    message,
)

START_MS = 1_800_000_000_000
HOUR_MS = 3_600_000


def workload(seed: int = 1, rate: float = 20, executions: int = 4) -> Workload:
    return Workload(seed, rate, executions, started_ms=START_MS)


def due(one: Workload, now_ms: int) -> list[NewEvent]:
    return [event for batch in one.take_due(now_ms) for event in batch.events]


def test_the_past_is_there_at_once() -> None:
    one = workload()
    past = due(one, START_MS)
    assert HISTORY_EVENTS / 2 < len(past) < HISTORY_EVENTS * 2
    assert all(START_MS - HISTORY_MS <= event.timestamp <= START_MS for event in past)
    statuses = {execution.status(START_MS) for execution in one.executions(START_MS)}
    assert "RUNNING" in statuses
    assert statuses & {"SUCCEEDED", "FAILED", "STOPPED"}


def test_nothing_is_handed_out_twice_or_before_its_time() -> None:
    one, seen = workload(), 0
    for now_ms in range(START_MS, START_MS + 60_000, 200):
        events = due(one, now_ms)
        assert all(event.timestamp <= now_ms for event in events)
        assert seen == 0 or all(event.timestamp > now_ms - 200 for event in events)
        seen += len(events)
    assert due(one, START_MS + 60_000 - 200) == []


def test_how_often_it_is_asked_does_not_matter() -> None:
    often, once = workload(), workload()
    steps = (due(often, now_ms) for now_ms in range(START_MS, START_MS + 30_001, 250))
    assert sorted(itertools.chain(*steps)) == sorted(due(once, START_MS + 30_000))


def test_the_seed_decides() -> None:
    later = START_MS + 10_000
    assert due(workload(7), later) == due(workload(7), later)
    assert due(workload(7), later) != due(workload(8), later)


@pytest.mark.parametrize(("rate", "executions"), [(20, 4), (2_000, 4), (5, 1), (100, 50)])
def test_the_rate_is_kept(rate: float, executions: int) -> None:
    one = workload(rate=rate, executions=executions)
    due(one, START_MS + 5_000)
    count = len(due(one, START_MS + 65_000))
    assert rate * 60 * 0.8 < count < rate * 60 * 1.2


def test_the_rate_is_kept_from_the_first_second() -> None:
    one = workload(rate=2_000)
    due(one, START_MS)
    assert len(due(one, START_MS + 1_000)) > 1_500


def test_executions_begin_run_and_end_and_others_take_their_place() -> None:
    one, hour = workload(), START_MS + HOUR_MS // 6
    by_stream: dict[str, list[NewEvent]] = {}
    for event in due(one, hour):
        by_stream.setdefault(event.stream, []).append(event)
    executions = one.executions(hour)
    assert {execution.status(hour) for execution in executions} == {
        "RUNNING",
        "SUCCEEDED",
        "FAILED",
        "STOPPED",
    }
    assert sum(execution.status(hour) == "RUNNING" for execution in executions) <= 4
    for execution in executions:
        assert execution.stream == f"job/main/{execution.id}"
        assert LENGTH_MS[0] <= execution.ends_ms - execution.started_ms <= LENGTH_MS[1]
        mine = by_stream[execution.stream]
        assert "execution started" in mine[0].message
        if execution.status(hour) != "RUNNING":
            assert mine[-1].timestamp == execution.ends_ms
            found = re.search(LIFECYCLE_PATTERN, mine[-1].message)
            assert found is not None
            assert found.lastgroup == execution.outcome


def test_there_is_always_a_stream_to_write_to() -> None:
    one = workload(executions=1)
    due(one, START_MS + 300_000)
    for now_ms in range(START_MS, START_MS + 300_000, 500):
        assert len(one.running_streams(now_ms)) == 1


def test_executions_that_have_not_begun_are_not_told() -> None:
    one = workload()
    assert all(execution.started_ms <= START_MS for execution in one.executions(START_MS))
    assert one.executions(START_MS - HISTORY_MS - 1) == []
    assert one.running_streams(START_MS - HISTORY_MS - 1) == []


@pytest.mark.parametrize(("rate", "executions"), [(0, 4), (-1, 4), (10**6, 4), (20, 0)])
def test_nonsense_is_refused(rate: float, executions: int) -> None:
    with pytest.raises(SimulatorError, match="must be"):
        workload(rate=rate, executions=executions)


def written(seed: int, count: int = 2_000) -> list[str]:
    rng = Random(seed)
    return [message(number, number / count, rng) for number in range(count)]


def test_everything_that_logs_hold_is_there() -> None:
    lines = written(1)
    for level in ("DEBUG", "INFO ", "WARN ", "ERROR"):
        assert any(line.startswith(level) for line in lines)
    assert any(line.count("\n") > 3 and "Traceback" in line for line in lines)
    assert any(not line.isascii() for line in lines)
    assert any("%" in line for line in lines)
    parsed = [json.loads(line) for line in lines if line.startswith("{")]
    assert {one["level"] for one in parsed} == {"debug", "info", "warn", "error"}


def test_every_message_has_a_character() -> None:
    assert all(written(2))


def test_the_same_seed_writes_the_same() -> None:
    assert written(3, 50) == written(3, 50)
    assert written(3, 50) != written(4, 50)


@pytest.mark.parametrize("outcome", ["SUCCEEDED", "FAILED", "STOPPED"])
def test_the_pattern_tells_how_an_execution_ended(outcome: Outcome) -> None:
    found = re.search(LIFECYCLE_PATTERN, last_message(outcome, 12_345))
    assert found is not None
    assert [name for name, text in found.groupdict().items() if text] == [outcome]


def test_nothing_else_looks_like_last_words() -> None:
    lines = [*written(5), first_message("abc", Random(1))]
    assert not any(re.search(LIFECYCLE_PATTERN, line) for line in lines)
