"""Plays a scenario: fresh programs, its faults, healing, the verdict. A shell.

Pure: the simulator that a scenario wants around it, as a command's arguments.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import gapless
from common.errors import CannotConnectError, GaplessError, UsageError
from common.processes import ChildProcess, start_gapless
from gapless.rehearsal.outcome import UNSAFE, Outcome, findings, is_met, newest_marks
from gapless.rehearsal.viewer import Meter, Viewer
from simulator.client import ControlApi
from simulator.scenarios.base import Scenario

if TYPE_CHECKING:
    from simulator.scenarios.base import Setup


def simulate_arguments(setup: Setup) -> list[str]:
    """What ``gapless simulate`` is told, besides the seed."""
    return [
        *("--rate", f"{setup.rate:g}", "--executions", str(setup.executions)),
        "--live" if setup.is_live else "--no-live",
        *("--group-age", f"{setup.group_age_ms // 1_000}s"),
    ]


SHOWN_WITHIN_S: Final = 120.0
"""Longest that the viewer may take to show the first line."""

LOOKS: Final = (0.35, 0.65, 0.9)
"""When the viewer is judged while faults are on, as shares of the scenario's length."""

LATE_MS: Final = 90_000
"""Longest that a scenario may take beyond its time, on a machine that is busy."""

_TICK_S: Final = 0.1
_END_S: Final = 3.0
_METER_S: Final = 0.5
_POLL_S: Final = 0.3
"""Between two verdicts while it converges, at least; and no more than half of the time."""

MANY: Final = 100_000
"""Beyond so many events, a viewer that has not printed them is judged from time to time only."""

_MANY_EVERY_S: Final = 30.0


class StoppedError(Exception):
    """Somebody wants no more of it."""


def play(
    scenario: Scenario, seed: int, speed: float, *, lifeline: Path, stop: threading.Event
) -> Outcome:
    """Run a scenario with processes of its own, and judge it; what came of it, in any case.

    Args:
        scenario: which one.
        seed: what all of it follows from.
        speed: how many times as fast.
        lifeline: a file that the caller holds; nothing outlives that.
        stop: ends it, with a StoppedError.

    Raises:
        StoppedError: ``stop`` was set.

    """
    outcome = Outcome(
        scenario=scenario.name,
        seed=seed,
        speed=speed,
        version=gapless.__version__,
        expects=scenario.setup.expects,
        bound_ms=scenario.setup.within_ms,
    )
    began = time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            _Run(scenario, outcome, lifeline, stop).play(stack)
    except GaplessError as error:
        outcome.error = str(error)
    outcome.total_ms = _ms_since(began)
    is_clean = is_met(outcome.expects, outcome.verdict)
    outcome.ok = is_clean and not (outcome.error or outcome.unsafe)
    outcome.ok = outcome.ok and outcome.converged_ms is not None
    return outcome


def _ms_since(moment: float) -> int:
    return round((time.monotonic() - moment) * 1_000)


class _Run:
    """One run on its way."""

    def __init__(
        self, scenario: Scenario, outcome: Outcome, lifeline: Path, stop: threading.Event
    ) -> None:
        self._scenario = scenario
        self._outcome = outcome
        self._lifeline = lifeline
        self._stop = stop
        self._meters = (Meter(), Meter())
        self._meter_at = 0.0
        self._began = self._looked = time.monotonic()
        self._simulator: ChildProcess
        self._api: ControlApi
        self._viewer: Viewer

    def play(self, stack: contextlib.ExitStack) -> None:
        began = time.monotonic()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gapless-scenario-")))
        setup, outcome = self._scenario.setup, self._outcome
        self._simulator = stack.enter_context(start_gapless("the simulator", self._arguments()))
        ready = self._simulator.ready()
        self._api = ControlApi(str(ready["control"]))
        since_ms = time.time_ns() // 1_000_000 - setup.since_ms
        self._viewer = stack.enter_context(Viewer(str(ready["websocket"]), since_ms, folder))
        if not setup.connect_after_ms:
            self._connect()
            self._wait_shown()
        outcome.ready_ms = _ms_since(began)
        try:
            told = self._run_scenario()
            outcome.scenario_ms = _ms_since(began) - outcome.ready_ms
            self._converge(told)
        except CannotConnectError as error:
            # That the simulator has ended is the better explanation, and comes a moment later.
            self._stop.wait(_END_S)
            raise error if self._simulator.is_running else self._simulator.failure() from error
        finally:
            self._measured()

    def _arguments(self) -> list[str]:
        return [
            *("simulate", "--seed", str(self._outcome.seed)),
            *simulate_arguments(self._scenario.setup),
            *("--while-held", str(self._lifeline)),
        ]

    def _run_scenario(self) -> dict[str, Any]:
        """From its start to its end; how it stands then."""
        outcome = self._outcome
        self._began = time.monotonic()
        told = self._api.run_scenario(outcome.scenario, outcome.seed, outcome.speed)
        looks = [share * told["ends_ms"] for share in LOOKS]
        connect_ms = self._scenario.setup.connect_after_ms / outcome.speed
        while told["state"] == "running":
            if _ms_since(self._began) > told["ends_ms"] + LATE_MS:
                msg = f"the scenario stands still at step {told['step']}: {told['says']}"
                raise GaplessError(msg)
            self._tick()
            told = self._api.scenario()
            if told["elapsed_ms"] < connect_ms:
                continue
            if not self._viewer.is_running:
                self._connect()
            if looks and told["elapsed_ms"] >= looks[0]:
                looks.pop(0)
                self._look()
        outcome.steps = told["log"]
        if told["state"] != "done":
            msg = f"the scenario {told['state']} at step {told['step']}: {told['error']}"
            raise GaplessError(msg)
        return told

    def _converge(self, told: dict[str, Any]) -> None:
        """Wait until the viewer shows everything, and has it proved."""
        outcome, ended = self._outcome, time.monotonic()
        healed = [one["at_ms"] for one in told["log"] if one["action"] == "heal"]
        head_ms = told["ends_ms"] - max(healed, default=told["ends_ms"])
        quiet_ms: int | None = None
        while _ms_since(ended) <= outcome.bound_ms:
            if not self._viewer.is_running:
                self._connect()
            if quiet_ms is None and self._api.stop_writing():
                quiet_ms = time.time_ns() // 1_000_000
            if not self._is_worth_a_look():
                self._tick(_POLL_S)
                continue
            began = time.monotonic()
            record = self._look()
            if record is not None and quiet_ms is not None:
                outcome.marks = newest_marks(record)
                proved_ms = max((mark["through"] for mark in outcome.marks), default=0)
                if proved_ms >= quiet_ms and is_met(outcome.expects, outcome.verdict):
                    outcome.converged_ms = _ms_since(ended) + head_ms
                    return
            self._tick(max(_POLL_S, time.monotonic() - began))

    def _is_worth_a_look(self) -> bool:
        """To judge very many lines takes long, and holds up what is judged."""
        accepted = self._outcome.verdict.get("accepted", 0)
        if accepted < MANY or self._viewer.lines >= accepted:
            return True
        return time.monotonic() - self._looked >= _MANY_EVERY_S

    def _look(self) -> bytes | None:
        """Judge what the viewer shows now; its record."""
        outcome = self._outcome
        record = self._viewer.record(self._stop)
        if record is None:
            return None
        outcome.verdict = self._api.verdict(record)
        outcome.looks += 1
        self._looked = time.monotonic()
        wrong = findings(outcome.verdict, UNSAFE)
        if wrong and not outcome.unsafe:
            outcome.unsafe = wrong
            outcome.unsafe_examples = outcome.verdict["examples"]
            outcome.unsafe_ms = _ms_since(self._began)
        return record

    def _connect(self) -> None:
        self._viewer.start()
        pid = self._viewer.pid
        if pid is not None:
            with contextlib.suppress(UsageError):  # it has ended already, and will be noticed
                self._api.register_viewer(pid)

    def _wait_shown(self) -> None:
        began = time.monotonic()
        while not self._viewer.lines:
            if not self._viewer.is_running:
                self._viewer.start()
            if time.monotonic() - began > SHOWN_WITHIN_S:
                msg = f"the viewer showed nothing within {SHOWN_WITHIN_S:.0f} s"
                raise GaplessError(msg)
            self._tick()

    def _tick(self, wait_s: float = _TICK_S) -> None:
        if self._stop.wait(wait_s):
            raise StoppedError
        if not self._simulator.is_running:
            raise self._simulator.failure()
        if time.monotonic() >= self._meter_at:
            self._meter_at = time.monotonic() + _METER_S
            self._measure()

    def _measure(self) -> None:
        forwarder, viewer = self._meters
        viewer.read(self._viewer.pid)
        forwarder.read(self._api.changes(None)["forwarder"]["pid"])

    def _measured(self) -> None:
        with contextlib.suppress(GaplessError):
            self._measure()
        outcome, (forwarder, viewer) = self._outcome, self._meters
        outcome.forwarder, outcome.forwarder_lives = forwarder.total, forwarder.lives
        outcome.viewer, outcome.viewer_lives = viewer.total, self._viewer.lives
