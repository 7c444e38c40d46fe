from __future__ import annotations

import json
from typing import Any

import pytest

from simulator.errors import SimulatorError
from simulator.faults.board import Board, FaultRequest, FaultSchedule, lasts_ms
from simulator.faults.fault_log import FaultLog
from simulator.scenarios.base import Heal, Inject, Setup, Wait, heal
from simulator.scenarios.recorded import LEAD_MS, REST_MS, scenario_of_log
from simulator.scenarios.script import read_script, write_script
from tests.support.simulator.harm_recorder import HarmRecorder


class Demo:
    """A board with a clock of its own."""

    def __init__(self) -> None:
        self.now_ms = 1_800_000_000_000
        self.levers = levers = HarmRecorder()
        log = FaultLog(lambda: self.now_ms)
        self.board = Board(levers.begin, levers.end, 1, lambda: self.now_ms, log=log)

    def log(self) -> dict[str, Any]:
        setup = Setup(rate=5.0, is_live=False, seed=9)._asdict()
        found = {**self.board.log.describe(), "setup": setup}
        assert json.loads(json.dumps(found)) == found
        return found


def test_what_was_switched_is_repeated_with_its_pauses() -> None:
    demo = Demo()
    cut = FaultRequest("disconnect", attributes={"down_ms": 3_000})
    demo.board.switch_on(cut)
    demo.now_ms += 2_040
    demo.board.switch_on(FaultRequest("latency"))
    demo.now_ms += 4_000
    demo.board.step(demo.now_ms)
    demo.board.switch_off("latency")
    found = scenario_of_log(demo.log(), "mine")
    *steps, last_heal, end = found.steps(1)
    assert [step.at_ms for step in steps] == [LEAD_MS, LEAD_MS + 2_000, LEAD_MS + 6_000]
    assert [step.action for step in steps[:2]] == [Inject(cut), Inject(FaultRequest("latency"))]
    assert steps[2].action == heal(0, "latency").action
    assert last_heal.at_ms == steps[2].at_ms
    assert (end.at_ms, end.action) == (last_heal.at_ms + REST_MS, Wait())
    assert found.setup == Setup(rate=5.0, is_live=False, seed=9)
    again = read_script(write_script(found), "x.toml")
    assert list(again.steps(1)) == list(found.steps(1))
    assert again.setup == found.setup


def test_a_heal_of_everything_heals_each() -> None:
    demo = Demo()
    demo.board.switch_on(FaultRequest("latency"))
    demo.board.switch_on(FaultRequest("bandwidth", schedule=FaultSchedule(after_ms=500)))
    demo.now_ms += 1_000
    demo.board.heal()
    actions = [step.action for step in scenario_of_log(demo.log(), "x").steps(1)]
    assert heal(0, "latency").action in actions
    assert heal(0, "bandwidth").action in actions


def times(demo: Demo) -> list[tuple[int, str]]:
    """When each step of the recording is taken, after the lead, and the fault that it switches."""
    found = read_script(write_script(scenario_of_log(demo.log(), "x")), "x.toml").steps(1)
    assert isinstance(found[-1].action, Wait)
    names = []
    for step in found[:-1]:
        match step.action:
            case Inject(fault):
                names.append(f"+{fault.name or fault.type}")
            case Heal(name):
                names.append(f"-{name or 'all'}")
    return [(step.at_ms - LEAD_MS, one) for step, one in zip(found, names, strict=False)]


def test_a_fault_that_is_still_on_lasts_until_the_recording() -> None:
    demo = Demo()
    demo.board.switch_on(FaultRequest("latency"))
    demo.now_ms += 7_000
    assert times(demo) == [(0, "+latency"), (7_000, "-all")]


def test_a_fault_just_switched_on_is_on_for_a_moment() -> None:
    demo = Demo()
    demo.board.switch_on(FaultRequest("latency"))
    assert times(demo) == [(0, "+latency"), (1_000, "-all")]


def test_a_fault_with_its_defaults_lasts_as_long_as_it_did() -> None:
    demo = Demo()
    demo.board.switch_on(FaultRequest("forwarder_crash", schedule=FaultSchedule(after_ms=500)))
    lasts = lasts_ms(FaultRequest("forwarder_crash"))
    assert lasts is not None
    demo.now_ms += 100
    assert times(demo) == [(0, "+forwarder_crash"), (500 + lasts, "-all")]


def test_overlapping_repeated_and_replaced_faults_keep_their_order() -> None:
    demo = Demo()
    demo.board.heal()  # before anything was on
    demo.now_ms += 60_000
    demo.board.switch_on(FaultRequest("latency", name="käse"))
    demo.now_ms += 1_000
    demo.board.switch_on(FaultRequest("bandwidth", attributes={"rate_kbps": 20}))
    demo.now_ms += 1_000
    demo.board.switch_off("käse")
    demo.now_ms += 1_000
    demo.board.switch_on(FaultRequest("bandwidth", attributes={"rate_kbps": 90}))
    demo.now_ms += 1_000
    demo.board.switch_on(FaultRequest("latency", name="käse"))
    demo.now_ms += 1_000
    demo.board.heal()
    demo.now_ms += 500_000
    assert times(demo) == [
        (0, "+käse"),
        (1_000, "+bandwidth"),
        (2_000, "-käse"),
        (3_000, "+bandwidth"),
        (4_000, "+käse"),
        (5_000, "-bandwidth"),
        (5_000, "-käse"),
        (5_000, "-all"),
    ]


def test_a_fault_that_was_refused_is_not_recorded() -> None:
    demo = Demo()
    demo.levers.broken = True
    with pytest.raises(SimulatorError):
        demo.board.switch_on(FaultRequest("owner_crash"))
    assert demo.log()["entries"] == []
    demo.now_ms += 10_000
    demo.levers.broken = False
    demo.board.switch_on(FaultRequest("burst"))
    assert times(demo) == [(0, "+burst"), (0, "-all")]


def test_nothing_was_switched() -> None:
    demo = Demo()
    demo.board.heal()
    with pytest.raises(SimulatorError, match="no fault was switched on yet"):
        scenario_of_log(demo.log(), "x")


def test_the_log_says_when_a_fault_was_really_on() -> None:
    demo = Demo()
    request = FaultRequest("disconnect", attributes={"down_ms": 100, "every_ms": 1_000})
    demo.board.switch_on(request)
    for _ in range(3):
        demo.now_ms += 500
        demo.board.step(demo.now_ms)
    demo.board.switch_off("disconnect")
    began = demo.log()["entries"][0]["at_ms"]
    assert [(one["event"], one["at_ms"] - began) for one in demo.log()["entries"]] == [
        ("requested", 0),
        ("began", 0),
        ("ended", 500),
        ("began", 1_000),
        ("ended", 1_500),
        ("healed", 1_500),
    ]
    assert demo.log()["entries"][0]["request"]["attributes"] == request.attributes


def test_a_spared_turn_is_not_in_the_log() -> None:
    demo = Demo()
    demo.board.switch_on(FaultRequest("forwarder_crash", toxicity=0.0))
    assert "began" not in [one["event"] for one in demo.log()["entries"]]
