"""Runs scenarios, one at a time: each step at its time, in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from simulator.errors import ConflictError, NoTargetError, NotFoundError, SimulatorError
from simulator.faults.board import Board, monotonic_ms
from simulator.scenarios.base import (
    STEPS_MAX,
    Action,
    Heal,
    Inject,
    Scenario,
    Step,
    Write,
    in_order,
)
from simulator.scenarios.scripted import SCENARIOS

State = Literal["running", "done", "stopped", "failed"]


class _Run:
    """A scenario that runs or ran, and how far it is."""

    def __init__(self, scenario: Scenario, seed: int, speed: float, now_ms: int) -> None:
        self.scenario = scenario
        self.seed = seed
        self.speed = speed
        self.steps: Sequence[Step] = in_order(scenario, seed, speed)
        self.started_ms = self.began_ms = now_ms
        self.taken_ms: list[int] = []
        """When each step was taken that is done; on a busy machine later than it should be."""
        self.ended_ms: int | None = None
        self.done = 0
        self.says = ""
        self.state: State = "running"
        self.error = ""
        if len(self.steps) > STEPS_MAX:
            msg = f"{scenario.name} has more than {STEPS_MAX} steps for the seed {seed}"
            raise SimulatorError(msg)

    def next(self) -> dict[str, Any] | None:
        """The next text for the reader, and its time; None if there is none."""
        if self.state != "running":
            return None
        later = (step for step in self.steps[self.done :] if step.says)
        return next(({"at_ms": step.at_ms, "says": step.says} for step in later), None)

    def describe(self, now_ms: int) -> dict[str, Any]:
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
            "log": [
                {**_describe(step), "taken_ms": taken_ms}
                for step, taken_ms in zip(self.steps, self.taken_ms, strict=False)
            ],
        }


class Conductor:
    """Runs one scenario at a time, in a thread; used from any thread."""

    def __init__(
        self,
        board: Board,
        pause: Callable[[], None],
        resume: Callable[[], None],
        announce: Callable[[], None],
        clock_ms: Callable[[], int] = monotonic_ms,
        scenarios: Mapping[str, Scenario] = SCENARIOS,
    ) -> None:
        """Run scenarios on a board.

        ``pause`` and ``resume`` stop the executions' writing and let it go on. ``announce`` is
        called, from any thread, after a step.
        """
        self._board = board
        self._pause = pause
        self._resume = resume
        self._announce = announce
        self._clock_ms = clock_ms
        self._scenarios = scenarios
        self._changed = threading.Condition()
        self._run: _Run | None = None
        self._thread: threading.Thread | None = None

    def describe_all(self) -> list[dict[str, object]]:
        """Every scenario that can be run, as the control API shows it."""
        return [one.describe() for one in self._scenarios.values()]

    def run(self, name: str, seed: int, speed: float = 1.0) -> dict[str, Any]:
        """Start the scenario of that name; see ``play``.

        Raises:
            NotFoundError: there is none of that name.
            SimulatorError: as in ``play``.
        """
        scenario = self._scenarios.get(name)
        if scenario is None:
            names = ", ".join(self._scenarios) or "none"
            msg = f"no scenario is called {name[:80]!r}; there are: {names}"
            raise NotFoundError(msg)
        return self.play(scenario, seed, speed)

    def play(self, scenario: Scenario, seed: int, speed: float = 1.0) -> dict[str, Any]:
        """Start a scenario, ``speed`` times as fast, and return its state.

        Raises:
            SimulatorError: one is running, or has too many steps, or can't be that fast.
        """
        with self._changed:
            if self._run is not None and self._run.state == "running":
                msg = f"{self._run.scenario.name} is running; stop it first"
                raise ConflictError(msg)
            run = self._run = _Run(scenario, seed, speed, self._clock_ms())
            self._thread = threading.Thread(
                target=self._conduct, args=(run,), name="scenario", daemon=True
            )
            self._thread.start()
            state = run.describe(self._clock_ms())
        self._announce()
        return state

    def describe(self) -> dict[str, Any] | None:
        """State of the scenario that runs or ran last; None before the first."""
        with self._changed:
            return None if self._run is None else self._run.describe(self._clock_ms())

    def stop(self) -> dict[str, Any] | None:
        """Stop the running scenario, heal every fault, and return the scenario's state."""
        with self._changed:
            if self._run is not None and self._run.state == "running":
                self._run.state, self._run.ended_ms = "stopped", self._clock_ms()
                self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        return self.describe()

    def _conduct(self, run: _Run) -> None:
        try:
            for step in run.steps:
                if not self._wait_for(run, step):
                    break
                taken_ms = self._clock_ms() - run.began_ms
                self._perform(step.action)
                with self._changed:
                    run.taken_ms.append(taken_ms)
                    # A step that is late on a busy machine delays the later ones: a fault that a
                    # later step heals still lasts its whole time.
                    run.started_ms = max(run.started_ms, self._clock_ms() - step.at_ms)
                    run.done += 1
                    run.says = step.says or run.says
                self._announce()
        except SimulatorError as error:
            self._end(run, "failed", str(error))
        except Exception as error:  # noqa: BLE001 - else it would seem to run for ever
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

    def _perform(self, action: Action) -> None:
        if isinstance(action, Inject):
            # A demo registers no viewer to be killed, and a scenario's may be just starting.
            with contextlib.suppress(NoTargetError):
                self._board.switch_on(action.fault)
        elif isinstance(action, Write):
            (self._resume if action.running else self._pause)()
        elif isinstance(action, Heal) and not action.name:
            self._board.heal()
        elif isinstance(action, Heal):
            with contextlib.suppress(NotFoundError):  # it is over already
                self._board.switch_off(action.name)

    def _tidy(self, run: _Run) -> None:
        try:
            self._resume()
            self._board.heal()
        except SimulatorError as error:
            self._end(run, "failed", str(error))

    def _end(self, run: _Run, state: State, error: str = "") -> None:
        with self._changed:
            if run.state == "running":
                run.state, run.error, run.ended_ms = state, error, self._clock_ms()
        self._announce()


def _describe(step: Step) -> dict[str, Any]:
    action = step.action
    common: dict[str, Any] = {"at_ms": step.at_ms, "says": step.says}
    if isinstance(action, Inject):
        return {**common, "action": "inject", "fault": msgspec.to_builtins(action.fault)}
    if isinstance(action, Heal):
        return {**common, "action": "heal", "name": action.name}
    if isinstance(action, Write):
        return {**common, "action": "write", "running": action.running}
    return {**common, "action": "wait"}
