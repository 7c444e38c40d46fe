"""tests.unit.gapless.viewing.test_screen."""

from __future__ import annotations

import asyncio
import io
import json
import sys

import pytest
from textual.drivers.linux_driver import LinuxDriver

from common.errors import GaplessError
from gapless.viewing import screen
from gapless.viewing.screen import LINES_MAX, ClearingDriver, ScreenApp, judge_on_and_on, why_not
from tests.support.fake_engine import FakeEngine
from tests.support.told import line
from tui.client.engine import Engine
from tui.client.target import TargetSpec
from tui.lines.rows import Line
from tui.screen.ports import ScenarioStatus


async def test_the_filters_of_the_command_line_are_chips_on_screen() -> None:
    app = ScreenApp(FakeEngine(), title="t", include=["a+"], exclude=["b"], level="warn")
    async with app.run_test() as pilot:
        await pilot.pause()
        filters = app._search.filters
        assert [(one.text, one.excludes) for one in filters.chips] == [("a+", False), ("b", True)]
        assert filters.minimum_level == "warn"
    assert app.fault is None
    assert not app.return_code


class Broken(ScreenApp):
    """Meets a fault as soon as it is on screen."""

    def on_ready(self) -> None:
        msg = "the screen is broken"
        raise RuntimeError(msg)


async def test_a_fault_of_the_screen_is_handed_on_and_ends_it() -> None:
    app = Broken(FakeEngine(), title="t")
    await app.run_async(headless=True, size=(80, 24))
    assert str(app.fault) == "the screen is broken"
    assert app.return_code == 1


async def test_its_own_screen_is_cleared_before_it_is_left_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[str] = []
    for name, does in (("start", "shown"), ("stop", "left")):
        monkeypatch.setattr(
            LinuxDriver, f"{name}_application_mode", lambda _self, does=does: written.append(does)
        )
    app = ScreenApp(FakeEngine(), title="t")
    assert app.get_driver_class() is ClearingDriver
    driver = ClearingDriver(app)
    monkeypatch.setattr(driver, "write", written.append)
    driver.start_application_mode()
    driver.stop_application_mode()
    driver.stop_application_mode()
    assert written == ["shown", "\x1b[0m\x1b[2J", "left", "left"]


class Terminal(io.StringIO):
    """A stream that may be a terminal."""

    def __init__(self, *, is_one: bool) -> None:
        super().__init__()
        self._is_one = is_one

    def isatty(self) -> bool:
        return self._is_one


@pytest.mark.parametrize(("is_terminal", "name"), [(True, "__stderr__"), (False, "__stdout__")])
async def test_it_draws_on_stdout_where_stderr_is_a_file(
    monkeypatch: pytest.MonkeyPatch,
    is_terminal: bool,  # noqa: FBT001 - the table's column
    name: str,
) -> None:
    monkeypatch.setattr(sys, "__stderr__", Terminal(is_one=is_terminal))
    monkeypatch.setattr(sys, "__stdout__", Terminal(is_one=True))
    driver = ClearingDriver(ScreenApp(FakeEngine(), title="t"))
    assert driver._file is getattr(sys, name)


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
        self.left_off: list[str] = []

    def leave_off(self, why: str) -> None:
        self.left_off.append(why)

    def judge(self, record: bytes, age_ms: int) -> None:
        assert age_ms >= 0
        self.asked += 1
        if self.asked == 1:
            msg = "nobody answers"
            raise GaplessError(msg)
        self.records.append(record)


async def test_the_screen_is_judged_while_there_is_a_scenario(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(screen, "EVERY_S", 0.001)
    engine, judge = Engine([TargetSpec(url="ws://h", name="/g")]), Judge()
    task = asyncio.create_task(judge_on_and_on(engine, judge))
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
    monkeypatch.setattr(screen, "SLICE_ROWS", 10)
    engine = Engine([TargetSpec(url="ws://h", name="/g")])
    engine.timeline.add_many([at(number * 10) for number in range(1, 96)])
    writing = asyncio.create_task(screen._written(engine))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    engine.timeline.add_many([at(5), at(905), at(2_000)])
    entries = [json.loads(one) for one in (await writing).splitlines()]
    assert (entries[0]["type"], entries[-1]["type"]) == ("record", "status")
    times = [one["seq"] for one in entries if one["type"] == "event"]
    assert times == sorted(times)
    assert set(times) == {*range(10, 951, 10), 905, 2_000}


async def test_a_screen_that_is_not_judged_has_no_verdict_of_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(screen, "EVERY_S", 0.001)
    monkeypatch.setattr(screen, "LINES_MAX", 2)
    engine, judge = Engine([TargetSpec(url="ws://h", name="/g")]), Judge()
    engine.timeline.add_many([at(number) for number in range(1, 4)])
    judge.scenario = SCENARIO
    task = asyncio.create_task(judge_on_and_on(engine, judge))
    try:
        async with asyncio.timeout(240):
            while not judge.left_off:  # noqa: ASYNC110 - it is called in its own time
                await asyncio.sleep(0.005)
    finally:
        task.cancel()
    assert judge.left_off[0] == "not judged: more than 2 lines"
    assert judge.records == []


def test_who_is_judged() -> None:
    assert not why_not(LINES_MAX, 0)
    assert why_not(LINES_MAX + 1, 0) == "not judged: more than 200,000 lines"
    assert why_not(5, 1) == "not judged: some lines are not in memory"
