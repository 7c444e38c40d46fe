from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, cast
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

import gapless.viewing.controls
from common.errors import GaplessError, UsageError
from gapless import cli
from gapless.viewing import controls
from gapless.viewing import controls as controls_module
from gapless.viewing.controls import (
    LINES_MAX,
    UNJUDGED,
    SimulatorControls,
    name_of,
    reason_to_skip,
    scenario_of,
    scenario_status,
    verdict_status,
)
from simulator.client import ControlApi
from simulator.control import Changes
from tests.support.viewer.server_messages import line
from tui.client.engine import Engine
from tui.client.target import TargetSpec
from tui.lines.rows import Line
from tui.screen.ports import (
    ActiveSwitch,
    Controls,
    ControlsError,
    ScenarioStatus,
    VerdictStatus,
)
from tui.screen.widgets.fault_form import state_text

TYPES: Final = [
    {
        "type": "disconnect",
        "attributes": [
            {"name": "down_ms", "default": 5, "minimum": 0, "maximum": 9, "meaning": "how long"},
            {"name": "every_ms", "default": 0, "minimum": 0, "maximum": 9, "meaning": "again"},
        ],
    },
    {"type": "delay", "attributes": [], "toxicity": 0.5},
]


class Board(ThreadingHTTPServer):
    """What the simulator's control API does, as far as switching goes."""

    daemon_threads = True
    on: dict[str, dict[str, object]]
    refuses: bool
    changes: Changes
    scenario: dict[str, object] | None
    record: bytes


SCENARIOS = [
    {"name": "storm", "doc": "A crowd.", "setup": {"connect_after_ms": 0}},
    {"name": "late", "doc": "Late.", "setup": {"connect_after_ms": 30_000}},
]


OTHERS = {"scenario late": False}
"""The switches that nothing switches on."""


class Handler(BaseHTTPRequestHandler):
    server: Board

    def do_GET(self) -> None:
        if self.path.endswith("/types"):
            self.answer(200, TYPES)
        elif self.path.endswith("/scenarios"):
            self.answer(200, SCENARIOS)
        elif "/changes" in self.path:
            asked = parse_qs(urlsplit(self.path).query)
            after, wait_ms = (int(asked.get(name, ["-1"])[0]) for name in ("after", "wait_ms"))
            seq = self.server.changes.wait(after, wait_ms / 1_000)
            told = {"seq": seq, "faults": self.faults(), "scenario": self.server.scenario}
            self.answer(200, told)
        else:
            self.answer(200, self.faults())

    def faults(self) -> list[dict[str, object]]:
        return [
            {"type": one["type"], "name": name, "on": True} | one
            for name, one in self.server.on.items()
        ]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "/verdict" in self.path:
            self.server.record = body
            self.answer(200, {"clean": True, "shown": 5, "owed": 7, "pending": 2})
            return
        asked = json.loads(body or "{}")
        if self.server.refuses:
            self.answer(400, {"error": "the lever is stuck"})
        elif "/scenarios/" in self.path:
            name = self.path.rpartition("/")[2]
            self.server.scenario = {"name": name, "state": "running", "seed": asked["seed"]}
            self.answer(200, self.server.scenario)
        elif self.path.endswith("/heal"):
            # Before it answers: whoever has the answer asks what is on.
            healed = list(self.server.on)
            self.server.on.clear()
            self.answer(200, {"healed": healed})
        else:
            name = asked.get("name") or asked["type"]
            self.server.on[name] = asked
            self.server.changes.announce()
            self.answer(200, {"name": name})

    def do_DELETE(self) -> None:
        if self.path.endswith("/scenario"):
            assert self.server.scenario is not None
            self.server.scenario["state"] = "stopped"
            self.answer(200, self.server.scenario)
            return
        known = self.server.on.pop(self.path.rpartition("/")[2], None)
        self.answer(*((404, {"error": "not on"}) if known is None else (204, None)))

    def answer(self, status: int, body: object) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        del arguments


@pytest.fixture
def board() -> Iterator[Board]:
    with Board(("127.0.0.1", 0), Handler) as server:
        server.on, server.refuses, server.changes = {}, False, Changes()
        server.scenario = None
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def url_of(board: Board) -> str:
    return f"http://127.0.0.1:{board.server_port}/"


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what a thread hears."""
    async with asyncio.timeout(240):
        while not condition():  # noqa: ASYNC110 - a thread sets no event of this loop
            await asyncio.sleep(0.01)


async def test_toggling_a_fault(board: Board) -> None:
    controls: Controls = SimulatorControls(url_of(board))
    assert not controls.names
    await controls.refresh()
    assert list(controls.names) == ["disconnect", "delay", "scenario storm", "scenario late"]
    assert controls.states == dict.fromkeys(controls.names, False)
    assert await controls.toggle("disconnect") is True
    assert controls.states == {
        "disconnect": True,
        "delay": False,
        "scenario storm": False,
        "scenario late": False,
    }
    assert await controls.toggle("disconnect") is False
    assert not board.on


async def test_a_repeated_fault_is_healed_between_two_turns(board: Board) -> None:
    controls = SimulatorControls(url_of(board))
    board.on["disconnect"] = {
        "type": "disconnect",
        "on": False,
        "since_ms": None,
        "turns": 2,
        "attributes": {"down_ms": 2, "every_ms": 0},
        "schedule": {"every_ms": 9_000},
        "toxicity": 1.0,
    }
    await controls.refresh()
    assert controls.states["disconnect"] is False
    waits = ActiveSwitch(is_on=False, turns=2, settings="down_ms=2 every_ms=9,000")
    assert controls.active == {"disconnect": waits}
    assert await controls.toggle("disconnect") is False
    assert not board.on


async def test_of_two_faults_of_a_type_the_earlier_one_counts(board: Board) -> None:
    controls = SimulatorControls(url_of(board))
    board.on["a"] = {"type": "delay", "on": True, "since_ms": 7, "turns": 1}
    board.on["b"] = {"type": "delay", "on": True, "since_ms": 5, "turns": 1}
    await controls.refresh()
    assert controls.active == {
        "delay": ActiveSwitch(since_ms=5, turns=2, settings="2 of this kind")
    }


async def test_what_a_fault_affects_is_shown_while_it_is_on(board: Board) -> None:
    controls = SimulatorControls(url_of(board))
    await controls.refresh()
    controls._types["delay"] = {"counts": "calls"}
    board.on["a"] = {"type": "delay", "on": True, "since_ms": 7, "turns": 1, "affected": 1}
    await controls.refresh()
    assert controls.active["delay"].affected == "1 call"
    board.on["b"] = board.on["a"] | {"affected": 1_200}
    await controls.refresh()
    assert controls.active["delay"].affected == "1,201 calls"
    assert state_text(controls.active["delay"], 9_007) == (
        "on for 9 s, 2 times so far, 1,201 calls affected, 2 of this kind"
    )


async def test_healing_all_stops_the_scenario(board: Board) -> None:
    controls = SimulatorControls(url_of(board))
    await controls.toggle("scenario storm")
    await controls.toggle("delay")
    assert set(controls.active) == {"delay", "scenario storm"}
    await controls.heal()
    assert not controls.active
    assert not board.on


async def test_a_scenario_is_started_described_judged_and_stopped(board: Board) -> None:
    controls = SimulatorControls(url_of(board))
    story = controls.scenario
    assert story is None
    assert await controls.toggle("scenario storm") is True
    assert controls.titles["scenario storm"] == "A crowd."
    story = controls.scenario
    assert story is not None
    assert story.title == "scenario storm, seed 1"
    before = controls.verdict
    assert before is None
    await asyncio.to_thread(controls.judge, b"a record")
    assert board.record == b"a record"
    assert controls.verdict == VerdictStatus("PASS", "5/7 · 2 in flight")
    assert await controls.toggle("scenario storm") is False
    story = controls.scenario
    assert story is not None
    assert story.progress == "stopped"


async def test_a_scenario_that_begins_before_the_viewer_connects_is_refused(board: Board) -> None:
    controls = SimulatorControls(url_of(board))
    with pytest.raises(ControlsError, match="quit, and run gapless demo --scenario late"):
        await controls.toggle("scenario late")
    assert board.scenario is None


async def test_a_fault_is_switched_on_with_attributes_and_a_schedule(board: Board) -> None:
    controls = SimulatorControls(url_of(board))
    await controls.refresh()
    assert [one[:4] for one in controls.fields("disconnect")] == [
        ("down_ms", 5, 0, 9),
        ("every_ms", 0, 0, 9),
        ("toxicity", 1.0, 0, 1),
        ("for_ms", 0, 0, 86_400_000),
    ]
    assert [one.name for one in controls.fields("delay")] == ["toxicity", "for_ms", "every_ms"]
    assert [one.unit for one in controls.fields("delay")] == ["", "ms", "ms"]
    assert controls.fields("scenario storm") == ()
    values = {"down_ms": 7, "every_ms": 8, "toxicity": 0.5, "for_ms": 0}
    await controls.switch_on("disconnect", values)
    assert controls.states["disconnect"]
    given = board.on["disconnect"]
    assert given["attributes"] == {"down_ms": 7, "every_ms": 8}
    assert (given["toxicity"], given["schedule"]) == (0.5, {})
    await controls.switch_on("delay", {"toxicity": 0.5, "for_ms": 100, "every_ms": 900})
    assert board.on["delay"]["schedule"] == {"for_ms": 100, "every_ms": 900}
    assert [one.value for one in controls.fields("disconnect")] == [7, 8, 0.5, 0]
    await controls.toggle("disconnect")
    assert controls.recent == ("disconnect", "delay")
    board.refuses = True
    with pytest.raises(ControlsError, match="the lever is stuck"):
        await controls.switch_on("delay", {})


async def test_a_fault_that_another_client_switched_is_seen_first(board: Board) -> None:
    controls = SimulatorControls(url_of(board))
    await controls.refresh()
    ControlApi(url_of(board)).switch_on({"type": "delay", "name": "a-name"})
    assert await controls.toggle("delay") is False
    assert not board.on


async def test_a_change_during_a_switch_does_not_reverse_it(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    controls = SimulatorControls(url_of(board))
    assert await controls.toggle("disconnect") is True
    switch_off = controls._api.switch_off

    def off_and_updated(name: str) -> bool:
        was_on = switch_off(name)
        controls._update(None, 0)  # as the thread does that follows
        return was_on

    monkeypatch.setattr(controls._api, "switch_off", off_and_updated)
    assert await controls.toggle("disconnect") is False
    assert not board.on


async def test_changes_by_other_clients_are_followed(board: Board) -> None:
    controls = SimulatorControls(url_of(board)).follow()
    try:
        await until(
            lambda: (
                controls.states
                == {
                    "disconnect": False,
                    "delay": False,
                    "scenario storm": False,
                    "scenario late": False,
                }
            )
        )
        ControlApi(url_of(board)).switch_on({"type": "delay"})
        await until(
            lambda: (
                controls.states
                == {
                    "disconnect": False,
                    "delay": True,
                    "scenario storm": False,
                    "scenario late": False,
                }
            )
        )
    finally:
        controls.close()
        board.changes.announce()


async def test_it_follows_again_when_the_simulator_is_back(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gapless.viewing.controls, "RETRY_S", 0.01)
    failing = threading.Event()
    hear = SimulatorControls._update

    def unsteady(self: SimulatorControls, after: int | None, wait_ms: int) -> int | None:
        if not failing.is_set():
            failing.set()
            msg = "gone"
            raise GaplessError(msg)
        return hear(self, after, wait_ms)

    monkeypatch.setattr(SimulatorControls, "_update", unsteady)
    controls = SimulatorControls(url_of(board)).follow()
    try:
        await until(lambda: bool(controls.names))
    finally:
        controls.close()
        board.changes.announce()


async def test_refusals_and_timeouts_are_one_line(board: Board) -> None:
    controls = SimulatorControls(url_of(board))
    board.refuses = True
    with pytest.raises(ControlsError, match="the lever is stuck"):
        await controls.toggle("delay")
    with pytest.raises(ControlsError, match="cannot reach"):
        await SimulatorControls("http://127.0.0.1:1").refresh()


def test_healing(board: Board) -> None:
    api = ControlApi(url_of(board))
    api.switch_on({"type": "delay"})
    assert api.switch_off("disconnect") is False, "it is over already"
    assert [one["name"] for one in api.faults()] == ["delay"]
    assert api.heal() == ["delay"]
    assert api.faults() == []


def test_the_simulators_refusal_is_shown_as_it_is(board: Board) -> None:
    board.refuses = True
    with pytest.raises(UsageError, match=r"\Athe lever is stuck\Z"):
        ControlApi(url_of(board)).heal()


@pytest.mark.parametrize(
    ("name", "says"),
    [("disconnect", "healed: disconnect\n"), ("cot", "healed: no fault 'cot' was on\n")],
)
def test_heal_names_the_active_faults(
    board: Board, name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ControlApi(url_of(board)).switch_on({"type": "disconnect"})
    assert cli.run(["inject", "--heal", name, "--control", url_of(board)]) == 0
    assert capsys.readouterr().out == says


RUNNING: Final[dict[str, Any]] = {
    "name": "storm",
    "doc": "A crowd.",
    "seed": 7,
    "state": "running",
    "step": 2,
    "steps": 9,
    "elapsed_ms": 12_400,
    "ends_ms": 34_000,
    "says": "They come.",
    "next": {"at_ms": 20_000, "says": "They go."},
    "error": "",
}


def test_a_scenarios_switch() -> None:
    assert name_of(RUNNING) == "scenario storm"
    assert scenario_of("scenario storm") == "storm"
    assert scenario_of("storm") is None, "that one is a fault"


def test_a_running_scenario_is_described() -> None:
    story = scenario_status(RUNNING)
    assert story.title == "scenario storm, seed 7"
    assert story.progress == "step 2 of 9, 34 s in all"
    assert (story.now, story.then) == ("They come.", "They go.")
    assert scenario_status({**RUNNING, "says": ""}).now == "A crowd."


def test_an_ended_scenario_is_described() -> None:
    assert scenario_status({**RUNNING, "state": "done", "next": None}).progress == "done"
    failed = scenario_status({**RUNNING, "state": "failed", "error": "no lever"})
    assert (failed.progress, failed.now) == ("failed", "no lever")


@pytest.mark.parametrize(
    ("changes", "is_settled", "line"),
    [
        ({}, True, "PASS 889/889"),
        (
            {"expired": 2, "vanished": 5, "pending": 1},
            True,
            "PASS 881/889 · 7 deleted · 1 in flight",
        ),
        ({"pending": 3}, True, "PASS 886/889 · 3 in flight"),
        ({"lost": 3, "pending": 1, "clean": False}, False, "WAIT 885/889 · 4 not here yet"),
        ({"lost": 3, "clean": False}, True, "FAIL 3 lost · 886/889"),
        (
            {"lost": 3, "duplicated": 1, "marks_lied": 2, "clean": False},
            False,
            "FAIL 1 duplicated, 2 called complete too early · 886/889",
        ),
        ({"clean": False, "shown": 0, "pending": 889}, True, "WAIT 0/889 · no line is shown yet"),
        ({"shown": 990}, True, "PASS 889/889"),
        ({"owed": 12_345}, True, "PASS 12,345/12,345"),
        ({UNJUDGED: "not judged: too many"}, True, "not judged: too many"),
    ],
)
def test_the_verdict_in_words(changes: dict[str, Any], *, is_settled: bool, line: str) -> None:
    verdict = {"clean": True, "shown": 886, "owed": 889, "pending": 0, "lost": 0, **changes}
    assert verdict_status(verdict, is_settled=is_settled).line == line


def test_losses_count_once_the_faults_have_ended_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    controls = SimulatorControls("http://127.0.0.1:1")
    controls._verdict = {"clean": False, "shown": 5, "owed": 7, "lost": 2}
    now_ms = 1_800_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: now_ms * 1_000_000)

    def word(
        *, backfilled: bool = True, on: bool = False, state: str = "", fault_at_ms: int | None
    ) -> str:
        controls._is_backfilled = backfilled
        controls._on = {"latency": ["latency"]} if on else {}
        controls._scenario = {"state": state}
        controls._fault_at_ms = fault_at_ms
        assert controls.verdict is not None
        return controls.verdict.word

    assert word(fault_at_ms=None) == "FAIL"
    assert word(fault_at_ms=None, backfilled=False) == "WAIT"
    assert word(fault_at_ms=None, on=True) == "WAIT"
    assert word(fault_at_ms=None, state="running") == "WAIT"
    assert word(fault_at_ms=now_ms - controls_module.SETTLE_MS) == "WAIT"
    assert word(fault_at_ms=now_ms - controls_module.SETTLE_MS - 1) == "FAIL"


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


async def test_a_screen_whose_state_changes_is_judged_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(controls, "PAUSE_S", 3_600)
    monkeypatch.setattr(controls, "LOOK_S", 0.001)
    engine, judge = Engine([TargetSpec(url="ws://h", name="/g")]), Judge()
    state = "live"
    status = engine.status
    changing = property(lambda _: msgspec.structs.replace(status, state=state))
    monkeypatch.setattr(Engine, "status", changing)
    task = asyncio.create_task(keep_judging(judge, engine))
    try:
        async with asyncio.timeout(240):
            for _ in range(10):
                await asyncio.sleep(0.001)
            assert not judge.asked, "nothing has changed"
            state = "reconnecting"
            while not judge.asked:  # noqa: ASYNC110 - it is called in a thread
                await asyncio.sleep(0.005)
    finally:
        task.cancel()


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
