"""Runs a scenario: each step at its time, in a thread of its own, one scenario at a time."""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

import msgspec

from simulator.errors import NobodyError, NotFoundError, SimulatorError
from simulator.faults.board import FaultRequest, monotonic_ms
from simulator.scenarios import SCENARIOS
from simulator.scenarios.base import Action, Heal, Inject, Scenario, Step, Write, in_order

STEPS_MAX: Final = 10_000

State = Literal["running", "done", "stopped", "failed"]


class Switches(Protocol):
    """What a scenario does its harm with: the board."""

    def switch_on(self, request: FaultRequest) -> dict[str, Any]:
        """Switch a fault on; raises SimulatorError."""
        ...

    def switch_off(self, name: str) -> None:
        """Heal one; raises NotFoundError if it is not on."""
        ...

    def heal(self) -> list[str]:
        """Heal all; raises SimulatorError."""
        ...


class Pen(Protocol):
    """What lets the executions write."""

    def pause(self) -> None:
        """Let them fall silent."""
        ...

    def resume(self) -> None:
        """Let them go on."""
        ...


class _Run:
    """A scenario that runs, or ran."""

    def __init__(self, scenario: Scenario, seed: int, speed: float, now_ms: int) -> None:
        self.scenario = scenario
        self.seed = seed
        self.speed = speed
        self.steps: Sequence[Step] = in_order(scenario, seed, speed)
        self.started_ms = now_ms
        self.ended_ms: int | None = None
        self.done = 0
        self.says = ""
        self.state: State = "running"
        self.error = ""
        if len(self.steps) > STEPS_MAX:
            msg = f"{scenario.name} has more than {STEPS_MAX} steps for the seed {seed}"
            raise SimulatorError(msg)

    def next(self) -> dict[str, Any] | None:
        """What is said next, and when."""
        if self.state != "running":
            return None
        later = (step for step in self.steps[self.done :] if step.says)
        return next(({"at_ms": step.at_ms, "says": step.says} for step in later), None)

    def told(self, now_ms: int) -> dict[str, Any]:
        return {
            "name": self.scenario.name,
            "doc": self.scenario.doc,
            "seed": self.seed,
            "speed": self.speed,
            "elapsed_ms": (now_ms if self.ended_ms is None else self.ended_ms) - self.started_ms,
            "state": self.state,
            "step": self.done,
            "steps": len(self.steps),
            "ends_ms": self.steps[-1].at_ms if self.steps else 0,
            "says": self.says,
            "next": self.next(),
            "error": self.error,
            "log": [_told(step) for step in self.steps[: self.done]],
        }


class Conductor:
    """At most one scenario at a time; used from any thread."""

    def __init__(
        self,
        switches: Switches,
        pen: Pen,
        announce: Callable[[], None],
        clock_ms: Callable[[], int] = monotonic_ms,
        scenarios: Mapping[str, Scenario] = SCENARIOS,
    ) -> None:
        """``announce`` is called, from any thread, after a step."""
        self._switches = switches
        self._pen = pen
        self._announce = announce
        self._clock_ms = clock_ms
        self._scenarios = scenarios
        self._changed = threading.Condition()
        self._run: _Run | None = None
        self._thread: threading.Thread | None = None

    def known(self) -> list[dict[str, object]]:
        """Every scenario that there is."""
        return [one.told() for one in self._scenarios.values()]

    def run(self, name: str, seed: int, speed: float = 1.0) -> dict[str, Any]:
        """Begin a scenario, ``speed`` times as fast.

        Raises:
            NotFoundError: there is none of that name.
            SimulatorError: one is running, or has too many steps, or can't be that fast.

        """
        scenario = self._scenarios.get(name)
        if scenario is None:
            names = ", ".join(self._scenarios) or "none"
            msg = f"no scenario is called {name!r}; there are: {names}"
            raise NotFoundError(msg)
        with self._changed:
            if self._run is not None and self._run.state == "running":
                msg = f"{self._run.scenario.name} is running; stop it first"
                raise SimulatorError(msg)
            run = self._run = _Run(scenario, seed, speed, self._clock_ms())
            self._thread = threading.Thread(
                target=self._conduct, args=(run,), name="scenario", daemon=True
            )
            self._thread.start()
            told = run.told(self._clock_ms())
        self._announce()
        return told

    def told(self) -> dict[str, Any] | None:
        """The scenario that runs or ran last; None before the first."""
        with self._changed:
            return None if self._run is None else self._run.told(self._clock_ms())

    def stop(self) -> dict[str, Any] | None:
        """End the scenario that runs, and heal everything; what became of it."""
        with self._changed:
            if self._run is not None and self._run.state == "running":
                self._run.state, self._run.ended_ms = "stopped", self._clock_ms()
                self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        return self.told()

    def _conduct(self, run: _Run) -> None:
        try:
            for step in run.steps:
                if not self._wait_for(run, step):
                    break
                self._do(step.action)
                with self._changed:
                    # What a busy machine does late puts off what follows: a fault that a later
                    # step heals lasts as long as it is to.
                    run.started_ms = max(run.started_ms, self._clock_ms() - step.at_ms)
                    run.done += 1
                    run.says = step.says or run.says
                self._announce()
        except SimulatorError as error:
            self._end(run, "failed", str(error))
        except Exception as error:  # noqa: BLE001 - else nobody would learn that it is over
            traceback.print_exc()
            self._end(run, "failed", f"unexpected fault: {type(error).__name__}: {error}")
        finally:
            self._tidy(run)
        self._end(run, "done")

    def _wait_for(self, run: _Run, step: Step) -> bool:
        """Wait for a step's time; False if the run was stopped."""
        with self._changed:
            while run.state == "running":
                left_ms = run.started_ms + step.at_ms - self._clock_ms()
                if left_ms <= 0:
                    return True
                self._changed.wait(left_ms / 1_000)
        return False

    def _do(self, action: Action) -> None:
        if isinstance(action, Inject):
            # The viewer on the screen of a demo is nobody's to kill; one may be just starting.
            with contextlib.suppress(NobodyError):
                self._switches.switch_on(action.fault)
        elif isinstance(action, Write):
            (self._pen.resume if action.running else self._pen.pause)()
        elif isinstance(action, Heal) and not action.name:
            self._switches.heal()
        elif isinstance(action, Heal):
            with contextlib.suppress(NotFoundError):  # it was over by itself
                self._switches.switch_off(action.name)

    def _tidy(self, run: _Run) -> None:
        try:
            self._pen.resume()
            self._switches.heal()
        except SimulatorError as error:
            self._end(run, "failed", str(error))

    def _end(self, run: _Run, state: State, error: str = "") -> None:
        with self._changed:
            if run.state == "running":
                run.state, run.error, run.ended_ms = state, error, self._clock_ms()
        self._announce()


def _told(step: Step) -> dict[str, Any]:
    action = step.action
    told: dict[str, Any] = {"at_ms": step.at_ms, "says": step.says}
    if isinstance(action, Inject):
        return {**told, "action": "inject", "fault": msgspec.to_builtins(action.fault)}
    if isinstance(action, Heal):
        return {**told, "action": "heal", "name": action.name}
    if isinstance(action, Write):
        return {**told, "action": "write", "running": action.running}
    return {**told, "action": "wait"}
