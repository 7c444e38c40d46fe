"""Plays a scenario with programs of its own: faults, healing, then the verdict. A shell."""

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
from gapless.rehearsal.course import (
    ViewerCourse,
    fault_lanes,
    joined_courses,
    make_course,
    read_viewer_course,
    spoken,
)
from gapless.rehearsal.reactions import reactions, unmet
from gapless.rehearsal.result import UNSAFE, RehearsalResult, findings, is_met, newest_marks
from gapless.rehearsal.viewer import Meter, RecordingViewer
from simulator.client import ControlApi
from simulator.scenarios.base import Inject, Scenario

if TYPE_CHECKING:
    from simulator.scenarios.base import Setup


def simulate_arguments(setup: Setup) -> list[str]:
    """Return the arguments of ``gapless simulate`` for a scenario's setup, without the seed."""
    return [
        *("--rate", f"{setup.rate:g}", "--executions", str(setup.executions)),
        "--live" if setup.is_live else "--no-live",
        *("--group-age", f"{setup.group_age_ms // 1_000}s"),
        *("--forwarders", str(setup.forwarders)),
    ]


def start_scenario(
    api: ControlApi, scenario: Scenario, seed: int, speed: float = 1.0
) -> dict[str, Any]:
    """Start a built-in scenario or that of a file in a running simulator; return its state."""
    if scenario.script:
        return api.run_script(scenario.script, scenario.path, seed, speed)
    return api.run_scenario(scenario.name, seed, speed)


SHOWN_WITHIN_S: Final = 120.0
"""Longest that the viewer may take to show the first line."""

LOOKS: Final = (0.35, 0.65, 0.9)
"""Times at which the viewer is judged while faults are on, as shares of the scenario's length."""

LATE_MS: Final = 90_000
"""Longest that a scenario may overrun, on a busy machine."""

KILLING: Final = "viewer_crash"
"""The fault that kills a viewer, and with it what it had noted about its course."""

OBSERVE_S: Final = 2.0
"""How often the course of a viewer is read that may be killed: so much of it may be unknown."""

_TICK_S: Final = 0.1
_END_S: Final = 3.0
_METER_S: Final = 0.5
_POLL_S: Final = 0.3
"""Shortest pause between two verdicts while the viewer converges; judging takes half the time."""

MANY: Final = 100_000
"""With more events than this, a viewer that has not printed them all is judged less often."""

_MANY_PAUSE_S: Final = 30.0


class StoppedError(Exception):
    """The caller stopped the run."""


def play(
    scenario: Scenario, seed: int, speed: float, *, lifeline: Path, stop: threading.Event
) -> RehearsalResult:
    """Run a scenario with processes of its own and judge it; errors become part of the result.

    It runs ``speed`` times as fast as written. The processes end when ``lifeline``, a file that the
    caller holds, is released.

    Raises:
        StoppedError: ``stop`` was set.
    """
    setup = scenario.setup_for(seed)
    result = RehearsalResult(
        scenario=scenario.name,
        seed=seed,
        speed=speed,
        version=gapless.__version__,
        doc=scenario.doc,
        file=scenario.path,
        expects=setup.expects,
        bound_ms=setup.within_ms,
    )
    began = time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            _Rehearsal(scenario, result, lifeline, stop).play(stack)
    except GaplessError as error:
        result.error = str(error)
    result.total_ms = _ms_since(began)
    is_clean = is_met(result.expects, result.verdict, scenario.expect.lost)
    result.ok = is_clean and not (result.error or result.unsafe or result.unmet)
    result.ok = result.ok and result.converged_ms is not None
    return result


def _ms_since(moment: float) -> int:
    return round((time.monotonic() - moment) * 1_000)


class _Rehearsal:
    """The processes and the state of one run."""

    def __init__(
        self, scenario: Scenario, result: RehearsalResult, lifeline: Path, stop: threading.Event
    ) -> None:
        self._scenario = scenario
        self._setup = scenario.setup_for(result.seed)
        self._result = result
        self._lifeline = lifeline
        self._stop = stop
        self._meters = (Meter(), Meter())
        self._meter_at = 0.0
        self._began = self._judged = self._observed = time.monotonic()
        self._started_ms = 0
        self._asked_ms = 0
        """When the record was requested that was read last: nothing is known of what came later."""
        self._courses: dict[int, ViewerCourse] = {}
        self._is_killed = any(
            isinstance(step.action, Inject) and step.action.fault.type == KILLING
            for step in scenario.steps(result.seed)
        )
        self._simulator: ChildProcess
        self._api: ControlApi
        self._viewer: RecordingViewer

    def play(self, stack: contextlib.ExitStack) -> None:
        began = time.monotonic()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gapless-scenario-")))
        setup, result = self._setup, self._result
        self._simulator = stack.enter_context(start_gapless("the simulator", self._arguments()))
        ready = self._simulator.ready()
        self._api = ControlApi(str(ready["control"]))
        since_ms = time.time_ns() // 1_000_000 - setup.since_ms
        self._viewer = stack.enter_context(
            RecordingViewer(str(ready["websocket"]), since_ms, folder)
        )
        if not setup.connect_after_ms:
            self._connect()
            self._wait_shown()
        result.ready_ms = _ms_since(began)
        try:
            state = self._play_scenario()
            result.scenario_ms = _ms_since(began) - result.ready_ms
            self._converge(state)
        except CannotConnectError as error:
            # If the simulator has ended, that is the better explanation; it shows a moment later.
            self._stop.wait(_END_S)
            raise error if self._simulator.is_running else self._simulator.failure() from error
        finally:
            self._note_usage()
            with contextlib.suppress(GaplessError):  # else the first error is the one to report
                self._note_course()

    def _arguments(self) -> list[str]:
        return [
            *("simulate", "--seed", str(self._result.seed)),
            *simulate_arguments(self._setup),
            *("--while-held", str(self._lifeline)),
        ]

    def _play_scenario(self) -> dict[str, Any]:
        """Play the scenario to its end; return its last state."""
        result = self._result
        self._began = time.monotonic()
        self._started_ms = time.time_ns() // 1_000_000
        state = start_scenario(self._api, self._scenario, result.seed, result.speed)
        looks = [share * state["ends_ms"] for share in LOOKS]
        connect_ms = self._setup.connect_after_ms / result.speed
        while state["state"] == "running":
            if _ms_since(self._began) > state["ends_ms"] + LATE_MS:
                msg = f"the scenario is stuck at step {state['step']}: {state['says']}"
                raise GaplessError(msg)
            self._tick()
            state = self._api.scenario()
            if state["elapsed_ms"] < connect_ms:
                continue
            if not self._viewer.is_running:
                self._connect()
            if looks and state["elapsed_ms"] >= looks[0]:
                looks.pop(0)
                self._judge()
            elif self._is_killed and time.monotonic() - self._observed >= OBSERVE_S:
                self._observe()
        result.steps = state["log"]
        if state["state"] != "done":
            msg = f"the scenario {state['state']} at step {state['step']}: {state['error']}"
            raise GaplessError(msg)
        return state

    def _converge(self, state: dict[str, Any]) -> None:
        """Wait until the viewer shows everything as verified."""
        result, ended = self._result, time.monotonic()
        healed = [one["at_ms"] for one in state["log"] if one["action"] == "heal"]
        head_ms = state["ends_ms"] - max(healed, default=state["ends_ms"])
        quiet_ms: int | None = None
        while _ms_since(ended) <= result.bound_ms:
            if not self._viewer.is_running:
                self._connect()
            if quiet_ms is None and self._api.stop_writing():
                quiet_ms = time.time_ns() // 1_000_000
            if not self._should_judge():
                self._tick(_POLL_S)
                continue
            began = time.monotonic()
            record = self._judge()
            if record is not None and quiet_ms is not None:
                result.marks = newest_marks(record)
                proved_ms = max((mark.through for mark in result.marks), default=0)
                if proved_ms >= quiet_ms and self._is_met():
                    result.converged_ms = _ms_since(ended) + head_ms
                    return
            self._tick(max(_POLL_S, time.monotonic() - began))

    def _is_met(self) -> bool:
        result = self._result
        return is_met(result.expects, result.verdict, self._scenario.expect.lost)

    def _should_judge(self) -> bool:
        """Return whether to judge now: judging many lines takes long, and delays the viewer."""
        accepted = self._result.verdict.get("accepted", 0)
        if accepted < MANY or self._viewer.lines >= accepted:
            return True
        return time.monotonic() - self._judged >= _MANY_PAUSE_S

    def _observe(self) -> bytes | None:
        """Read what the viewer shows now; return its record, None if it is not running."""
        self._observed = time.monotonic()
        life = self._viewer.starts
        asked_ms = time.time_ns() // 1_000_000
        record = self._viewer.record(self._stop)
        if record is not None:
            self._asked_ms = asked_ms
            self._courses[life] = read_viewer_course(record, self._started_ms)
        return record

    def _judge(self) -> bytes | None:
        """Judge what the viewer shows now; return its record, None if it is not running."""
        result = self._result
        record = self._observe()
        if record is None:
            return None
        result.verdict = self._api.verdict(record)
        result.looks += 1
        self._judged = time.monotonic()
        wrong = findings(result.verdict, UNSAFE)
        if wrong and not result.unsafe:
            result.unsafe = wrong
            result.unsafe_examples = result.verdict["examples"]
            result.unsafe_ms = _ms_since(self._began)
        return record

    def _note_course(self) -> None:
        """Note what happened over time, and what the viewer did about each fault."""
        result = self._result
        if not self._started_ms:
            return
        started_ms = self._started_ms
        lives = [
            (began_ms - started_ms, None if ended_ms is None else ended_ms - started_ms)
            for began_ms, ended_ms in self._viewer.lives
        ]
        courses = [self._courses.get(life, ViewerCourse()) for life in range(1, len(lives) + 1)]
        log = self._api.fault_log()
        result.log_dropped = log["dropped"]
        course = result.course = make_course(
            joined_courses(courses, lives),
            fault_lanes(log, started_ms),
            spoken(result.steps),
            started_ms,
            (self._asked_ms or time.time_ns() // 1_000_000) - started_ms,
        )
        result.reactions = reactions(course)
        result.unmet = unmet(self._scenario.expect, course, result.reactions, result.verdict)

    def _connect(self) -> None:
        self._viewer.start()
        pid = self._viewer.pid
        if pid is None:
            return
        try:
            self._api.register_viewer(pid)
        except UsageError:
            if self._viewer.is_running:
                raise  # no fault could kill it, and the scenario would not be what it says
            # Otherwise it has ended already; the next check notices.

    def _wait_shown(self) -> None:
        began = time.monotonic()
        while not self._viewer.lines:
            if not self._viewer.is_running:
                self._connect()
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

    def _note_usage(self) -> None:
        with contextlib.suppress(GaplessError):
            self._measure()
        result, (forwarder, viewer) = self._result, self._meters
        result.forwarder, result.forwarder_lives = forwarder.total, forwarder.processes
        result.viewer, result.viewer_lives = viewer.total, self._viewer.starts
