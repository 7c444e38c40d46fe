from __future__ import annotations

import asyncio
import json
from typing import cast

import pytest

from common.errors import GaplessError
from gapless.viewing import controls
from gapless.viewing.controls import LINES_MAX, SimulatorControls, reason_to_skip
from tests.support.viewer.server_messages import line
from tui.client.engine import Engine
from tui.client.target import TargetSpec
from tui.lines.rows import Line
from tui.screen.ports import ScenarioStatus

SCENARIO = ScenarioStatus("scenario storm, seed 1", "", "now")


def at(number: int) -> Line:
    """A line of the first target in that place."""
    return line(number << 8, seq=number)


class Judge:
    """Remembers what it was shown, and fails the first time."""

    def __init__(self) -> None:
        self.scenario: ScenarioStatus | None = None
        self.records: list[bytes] = []
        self.asked = 0
        self.skipped: list[str] = []

    def skip(self, reason: str) -> None:
        self.skipped.append(reason)

    def judge(self, record: bytes, age_ms: int) -> None:
        assert age_ms >= 0
        self.asked += 1
        if self.asked == 1:
            msg = "no answer"
            raise GaplessError(msg)
        self.records.append(record)


async def keep_judging(judge: Judge, engine: Engine) -> None:
    await SimulatorControls.keep_judging(cast("SimulatorControls", judge), engine)


async def test_the_screen_is_judged_while_there_is_a_scenario(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(controls, "PAUSE_S", 0.001)
    engine, judge = Engine([TargetSpec(url="ws://h", name="/g")]), Judge()
    task = asyncio.create_task(
        SimulatorControls.keep_judging(cast("SimulatorControls", judge), engine)
    )
    try:
        judge.scenario = SCENARIO
        async with asyncio.timeout(240):
            while len(judge.records) < 2:  # noqa: ASYNC110 - it is called in a thread
                await asyncio.sleep(0.005)
    finally:
        task.cancel()
    assert judge.records[0].startswith(b'{"type":"record"')


async def test_every_line_is_judged_in_its_place_while_others_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(controls, "SLICE_ROWS", 10)
    engine = Engine([TargetSpec(url="ws://h", name="/g")])
    engine.timeline.add_many([at(number * 10) for number in range(1, 96)])
    writing = asyncio.create_task(controls._encode_record(engine))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    engine.timeline.add_many([at(5), at(905), at(2_000)])
    entries = [json.loads(one) for one in (await writing).splitlines()]
    assert (entries[0]["type"], entries[-1]["type"]) == ("record", "status")
    times = [one["seq"] for one in entries if one["type"] == "event"]
    assert times == sorted(times)
    assert set(times) == {*range(10, 951, 10), 905, 2_000}


async def test_a_screen_that_is_not_judged_shows_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(controls, "PAUSE_S", 0.001)
    monkeypatch.setattr(controls, "LINES_MAX", 2)
    engine, judge = Engine([TargetSpec(url="ws://h", name="/g")]), Judge()
    engine.timeline.add_many([at(number) for number in range(1, 4)])
    judge.scenario = SCENARIO
    task = asyncio.create_task(
        SimulatorControls.keep_judging(cast("SimulatorControls", judge), engine)
    )
    try:
        async with asyncio.timeout(240):
            while not judge.skipped:  # noqa: ASYNC110 - it is called in its own time
                await asyncio.sleep(0.005)
    finally:
        task.cancel()
    assert judge.skipped[0] == "not judged: more than 2 lines"
    assert judge.records == []


def test_which_screens_are_judged() -> None:
    assert not reason_to_skip(LINES_MAX, 0)
    assert reason_to_skip(LINES_MAX + 1, 0) == "not judged: more than 200,000 lines"
    assert reason_to_skip(5, 1) == "not judged: some lines are not in memory"
