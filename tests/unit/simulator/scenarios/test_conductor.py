from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest

from simulator.errors import NotFoundError, SimulatorError
from simulator.faults.board import Board, FaultRequest, monotonic_ms
from simulator.scenarios import conductor
from simulator.scenarios.base import Heal, Inject, Scenario, Step, Write
from simulator.scenarios.conductor import Conductor
from tests.support.processes.gapless_processes import WAIT_S
from tests.support.simulator.harm_recorder import HarmRecorder

PULL, PLUG = ("pull", "disconnect"), ("plug", "disconnect")
CABLE = Inject(FaultRequest(type="disconnect"))


class Pen:
    def __init__(self) -> None:
        self.words: list[str] = []

    def pause(self) -> None:
        self.words.append("pause")

    def resume(self) -> None:
        self.words.append("resume")


class Rig:
    """A conductor on a board that records harms."""

    def __init__(self, *steps: Step, clock_ms: Callable[[], int] = monotonic_ms) -> None:
        self.levers = HarmRecorder()
        self.board = Board(self.levers.begin, self.levers.end, 1)
        self.pen = Pen()
        self.announced = threading.Condition()
        scenario = Scenario("tried", "For this test.", lambda seed: self.steps(seed, steps))
        self.conductor = Conductor(
            self.board,
            self.pen.pause,
            self.pen.resume,
            self._announce,
            clock_ms,
            {"tried": scenario},
        )

    def steps(self, seed: int, steps: Sequence[Step]) -> Sequence[Step]:
        return steps or [Step(Random(seed).randint(0, 5), CABLE)]

    def _announce(self) -> None:
        with self.announced:
            self.announced.notify_all()

    def told(self) -> dict[str, Any]:
        told = self.conductor.describe()
        assert told is not None
        return told

    def until(self, **wanted: object) -> dict[str, Any]:
        """The state, once it has these values."""

        def is_there() -> bool:
            return all(self.told()[name] == value for name, value in wanted.items())

        with self.announced:
            assert self.announced.wait_for(is_there, WAIT_S), self.told()
        return self.told()


def test_every_step_is_done_in_the_order_of_times() -> None:
    rig = Rig(
        Step(20, Heal("disconnect"), "plugged in"),
        Step(0, CABLE, "the cable is out"),
        Step(10, Write(running=False)),
        Step(25, Heal("disconnect")),
        Step(30, Heal()),
        Step(40),
    )
    assert rig.conductor.describe() is None
    begun = rig.conductor.run("tried", 5)
    assert begun["next"] in (
        None,
        {"at_ms": 20, "says": "plugged in"},
        {"at_ms": 0, "says": "the cable is out"},
    )
    assert (begun["name"], begun["seed"], begun["steps"], begun["ends_ms"]) == ("tried", 5, 6, 40)
    told = rig.until(state="done")
    assert told["step"] == 6
    assert told["says"] == "plugged in"
    assert told["next"] is None
    assert [one["action"] for one in told["log"]] == [
        *("inject", "write", "heal", "heal", "heal", "wait")
    ]
    assert told["log"][0]["fault"]["type"] == "disconnect"
    assert rig.levers.calls == [PULL, PLUG]
    assert rig.pen.words == ["pause", "resume"]


def test_a_slow_step_delays_the_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    held_up_ms = 0
    times_ms: list[int] = []

    def clock_ms() -> int:
        return monotonic_ms() + held_up_ms

    def slow(_: HarmRecorder, *args: object) -> None:
        del args
        nonlocal held_up_ms
        held_up_ms = 60_000
        times_ms.append(clock_ms())

    monkeypatch.setattr(HarmRecorder, "pull", slow)
    monkeypatch.setattr(HarmRecorder, "plug", lambda *_: times_ms.append(clock_ms()))
    rig = Rig(Step(0, CABLE), Step(50, Heal("disconnect")), Step(60), clock_ms=clock_ms)
    rig.conductor.run("tried", 1)
    told = rig.until(state="done")
    assert times_ms[1] - times_ms[0] >= 50
    assert 60 <= told["elapsed_ms"] < 60_000
    assert [one["at_ms"] for one in told["log"]] == [0, 50, 60]
    assert [one["taken_ms"] >= 60_000 for one in told["log"]] == [False, True, True]


def test_it_can_run_faster() -> None:
    rig = Rig(Step(0, CABLE), Step(20_000))
    assert rig.conductor.run("tried", 5, 100)["ends_ms"] == 200
    told = rig.until(state="done")
    assert told["speed"] == 100
    assert told["elapsed_ms"] >= 200
    with pytest.raises(SimulatorError, match="speed must be"):
        rig.conductor.run("tried", 5, 0.5)


def test_no_viewer_to_kill_is_no_failure() -> None:
    rig = Rig(Step(0, Inject(FaultRequest(type="viewer_crash"))), Step(0, CABLE))
    rig.levers.has_no_viewers = True
    rig.conductor.run("tried", 1)
    assert rig.until(state="done")["step"] == 2
    assert rig.levers.calls == [("kill", "1"), PULL, PLUG]


def test_faults_left_on_are_healed_at_the_end() -> None:
    rig = Rig(Step(0, CABLE), Step(0, Write(running=False)))
    rig.conductor.run("tried", 1)
    rig.until(state="done")
    assert rig.levers.calls == [PULL, PLUG]
    assert rig.pen.words == ["pause", "resume"]
    assert rig.board.describe_all() == []


def test_a_stopped_one_is_healed_at_once() -> None:
    rig = Rig(Step(0, CABLE), Step(86_400_000))
    rig.conductor.run("tried", 1)
    assert rig.until(step=1)["next"] is None
    with pytest.raises(SimulatorError, match="tried is running; stop it first"):
        rig.conductor.run("tried", 1)
    told = rig.conductor.stop()
    assert told is not None
    assert (told["state"], told["step"]) == ("stopped", 1)
    assert rig.levers.calls == [PULL, PLUG]
    assert rig.conductor.stop() == told, "once more is harmless"
    rig.conductor.run("tried", 2)
    rig.conductor.stop()


def test_before_the_first_there_is_nothing_to_stop() -> None:
    assert Rig().conductor.stop() is None


def test_a_step_that_fails_ends_it() -> None:
    rig = Rig(Step(0, Inject(FaultRequest(type="x"))), Step(0, CABLE))
    rig.conductor.run("tried", 1)
    told = rig.until(state="failed")
    assert told["error"].startswith("no fault is called 'x'")
    assert told["step"] == 0
    assert rig.levers.calls == []


def test_whatever_goes_wrong_ends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stuck(_: HarmRecorder, *args: object) -> None:
        raise RuntimeError(args[0])

    monkeypatch.setattr(HarmRecorder, "pull", stuck)
    rig = Rig(Step(0, CABLE), Step(86_400_000))
    rig.conductor.run("tried", 1)
    assert rig.until(state="failed")["error"] == "unexpected fault: RuntimeError: disconnect"
    assert "RuntimeError: disconnect" in capsys.readouterr().err


def test_a_failed_healing_is_reported() -> None:
    rig = Rig(Step(0, CABLE), Step(86_400_000))
    rig.conductor.run("tried", 1)
    rig.until(step=1)
    rig.levers.broken = True
    rig.conductor.stop()
    assert rig.levers.calls == [PULL, PLUG]


def test_scenarios_are_listed_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    (known,) = rig.conductor.describe_all()
    assert (known["name"], known["doc"], known["story"]) == ("tried", "For this test.", "")
    with pytest.raises(NotFoundError, match="no scenario is called 'x'; there are: tried"):
        rig.conductor.run("x", 1)
    monkeypatch.setattr(conductor, "STEPS_MAX", 0)
    with pytest.raises(SimulatorError, match="more than 0 steps"):
        rig.conductor.run("tried", 1)
