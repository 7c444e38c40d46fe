"""Runs mutants as processes in a situation, judged by a real simulator's verdict.

Each viewer is judged repeatedly while faults are active, and once more after healing, when it has
had time to converge.
"""

from __future__ import annotations

import json
import signal
import tempfile
import threading
import time
import urllib.request
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from simulator.scenarios.base import Inject, Step
from tests.mutants.catalogue import Mutant
from tests.mutants.situations import LAST_WORDS, SEED, Situation
from tests.support.processes.gapless_processes import WAIT_S, GaplessProcess, Viewer, wait_until

AT_ONCE: Final = frozenset({"duplicated", "misordered", "unexpected", "altered", "marks_lied"})
"""Kinds of fault that are wrong at any time."""

UNPROVED: Final = "unproved"
"""Ranges on which viewer and forwarder disagree, counted like the verdict's kinds."""

IN_THE_END: Final = frozenset({"lost", "undeclared", UNPROVED})
"""Kinds of fault that are wrong only after the viewer had time to catch up."""

NEVER: Final = "never converged"

LOOK_S: Final = 0.4
"""Interval between verdicts on the same viewer."""

SILENT_S: Final = 5.0
"""Wait after healing for viewers that report no mark."""

_CAUGHT: Final = "SigCgt:"
_ENDS: Final = (0, 5, 6)
"""Exit codes of a viewer that has followed an execution to its end."""


class Finding(NamedTuple):
    """The oracle's findings on one program in one situation."""

    found: Mapping[str, int]
    """Highest count of each kind of fault."""
    converged_s: float | None
    """Time from healing until everything was shown and verified; None for never."""

    @property
    def is_clean(self) -> bool:
        """Whether no fault was found and the program converged."""
        return not self.found and self.converged_s is not None

    def summary(self) -> str:
        """The finding in a few words."""
        counted = [f"{kind} {count:,}" for kind, count in sorted(self.found.items())]
        if self.converged_s is None and not self.found.keys() & AT_ONCE:
            counted.append(NEVER)
        return ", ".join(counted) or "clean"


class Subject(NamedTuple):
    """A program to judge, and the faults to look for."""

    mutant: Mutant | None
    """The mutant; None for the product itself."""
    wanted: frozenset[str] | None = None
    """Faults that end the run once all are found; None for any of ``AT_ONCE``. An empty set runs
    until the program converges."""

    def is_found(self, found: Mapping[str, int]) -> bool:
        """Whether the wanted faults were found, so that the run can end."""
        if self.wanted is None:
            return bool(found.keys() & AT_ONCE)
        return bool(self.wanted) and self.wanted <= found.keys()


class _Simulator:
    """A running simulator's control API."""

    def __init__(self, process: GaplessProcess) -> None:
        self.process = process
        self.ready = process.ready()

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        data = (
            body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        )
        request = urllib.request.Request(self.ready["control"] + path, data, method=method)
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def inject(self, step: Step) -> None:
        if isinstance(step.action, Inject):
            fault = step.action.fault
            asked: dict[str, object] = {
                "type": fault.type,
                "name": fault.name,
                "attributes": fault.attributes,
            }
            if fault.toxicity is not None:
                asked["toxicity"] = fault.toxicity
            self.ask("POST", "/simulator/faults", asked)

    def viewers(self) -> list[dict[str, Any]]:
        """The forwarder's list of viewers; empty while it cannot be reached."""
        with suppress(OSError, ValueError):
            with urllib.request.urlopen(self.ready["http"] + "/v1/viewers", timeout=5) as answer:
                rows: list[dict[str, Any]] = json.loads(answer.read())
            return rows
        return []

    def is_playing(self) -> bool:
        """Whether a scenario is running."""
        scenario = self.ask("GET", "/simulator/scenario")
        assert scenario["state"] != "failed", scenario["error"]
        return bool(scenario["state"] == "running")

    def stop_writing(self) -> tuple[int, int]:
        """Stop the workload; returns the newest timestamp and the latest visibility time, ms."""
        self.ask("POST", "/simulator/workload", {"running": False})
        wait_until(lambda: bool(self.ask("GET", "/simulator/workload")["idle"]), "an idle workload")
        url = self.ready["control"] + "/simulator/ledger"
        with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
            events = [json.loads(line) for line in answer]
        return max(one["timestamp"] for one in events), max(one["visible_ms"] for one in events)


class _Judged:
    """One viewer and the faults found in it."""

    def __init__(
        self, simulator: _Simulator, viewer: Viewer, subject: Subject, *, ends: bool
    ) -> None:
        self.viewer = viewer
        self.subject = subject
        self.found: dict[str, int] = {}
        self.converged_s: float | None = None
        self._simulator = simulator
        self._ends = ends

    @property
    def is_decided(self) -> bool:
        return self.converged_s is not None or self.subject.is_found(self.found)

    @property
    def is_wanted_broken(self) -> bool:
        """Whether the faults must stay active until a wanted kind is found."""
        wanted = self.subject.wanted or frozenset()
        return bool(wanted & AT_ONCE) and not self.is_decided

    def look(self) -> None:
        """Request a verdict and note faults that are wrong at any time."""
        if self._has_ended() or not self._ends:
            verdict, _ = self._verdict()
            self._note(verdict, AT_ONCE)

    def look_at_the_end(self, newest_ms: int, visible_ms: int, since_s: float) -> None:
        """Request a verdict after healing; missing events count once they are overdue."""
        has_ended = self._has_ended()
        if self._ends and not has_ended:
            return
        verdict, record = self._verdict()
        self._note(verdict, AT_ONCE)
        scans = [one["scanned_at"] for one in record if one["type"] == "mark"]
        if verdict["clean"] and verdict["shown"] and self._is_proved(record[-1], newest_ms):
            self.converged_s = since_s
            self.found = {kind: self.found[kind] for kind in self.found if kind in AT_ONCE}
        elif has_ended or max(scans, default=0) > visible_ms or since_s > SILENT_S:
            states = [one["state"] for one in record if one["type"] == "gap"]
            self._note({**verdict, UNPROVED: states.count(UNPROVED)}, IN_THE_END)

    def _is_proved(self, status: Mapping[str, Any], newest_ms: int) -> bool:
        if self._ends:
            return self.viewer.popen.returncode in _ENDS
        return (status["complete_through"] or 0) >= newest_ms

    def _has_ended(self) -> bool:
        code = self.viewer.popen.poll()
        assert code is None or self._ends, f"the viewer ended with exit code {code}"
        return code is not None

    def _verdict(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        if not self._ends:
            self.viewer.record_now()
        data = self.viewer.record_path.read_bytes()
        verdict: dict[str, Any] = self._simulator.ask("POST", "/simulator/verdict", data)
        return verdict, [json.loads(line) for line in data.splitlines()]

    def _note(self, verdict: Mapping[str, Any], kinds: frozenset[str]) -> None:
        for kind in kinds:
            if verdict.get(kind):
                self.found[kind] = max(self.found.get(kind, 0), verdict[kind])


def run(
    situation: Situation, subjects: Sequence[Subject], bound_s: float | None = None
) -> list[Finding]:
    """Run programs in a situation; returns the finding on each.

    Args:
        situation: The faults to inject.
        subjects: One forwarder, or any number of viewers of a correct forwarder.
        bound_s: Longest wait for the wanted faults, and for convergence; None for the
            situation's own.

    """
    bound_s = situation.bound_s if bound_s is None else bound_s
    mutants = [one.mutant for one in subjects if one.mutant is not None]
    forwarder = next((one for one in mutants if one.part == "forwarder"), None)
    assert forwarder is None or len(subjects) == 1, "a simulator has one forwarder"
    with ExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants-")))
        simulator = _Simulator(stack.enter_context(_simulate(situation, forwarder, state)))
        for step in situation.at_first:
            simulator.inject(step)
        judged = []
        ends = situation.name == LAST_WORDS
        options = ["--since", situation.since, *(("--execution", _execution()) if ends else ())]
        for at, one in enumerate(subjects):
            viewer = _watch(simulator, one.mutant, f"viewer-{at}", state, *options)
            judged.append(_Judged(simulator, stack.enter_context(viewer), one, ends=ends))
        for each in judged:
            _wait_for_signals(each.viewer)
        if "drop_frame" not in map(_kind, situation.at_first):
            _wait_for_history(simulator, judged)
        _break(simulator, situation, judged, bound_s)
        simulator.ask("POST", "/simulator/heal", {})
        _converge(simulator, judged, bound_s)
        return [Finding(one.found, one.converged_s) for one in judged]


@contextmanager
def _simulate(
    situation: Situation, forwarder: Mutant | None, state: Path
) -> Iterator[GaplessProcess]:
    program = "-m gapless" if forwarder is None else f"-m tests.mutants {forwarder.name} --"
    options = [f"--seed={SEED}", f"--rate={situation.rate}", f"--forwarder-program={program}"]
    if not situation.is_live:
        options.append("--no-live")
    with GaplessProcess("simulate", *options, state=state) as process:
        yield process


@contextmanager
def _watch(
    simulator: _Simulator, mutant: Mutant | None, name: str, state: Path, *options: str
) -> Iterator[Viewer]:
    program = ["-m", "gapless"]
    if mutant is not None and mutant.part == "viewer":
        program = ["-m", "tests.mutants", mutant.name, "--"]
    url = simulator.ready["websocket"]
    with Viewer(url, *options, state=state, name=name, program=program) as viewer:
        yield viewer


def _execution() -> str:
    """The execution that the fault will write, derived from the seed and the fault's name."""
    seed = SEED << 32 | zlib.crc32(LAST_WORDS.encode())
    return f"{Random(f'{seed}/0').getrandbits(48):012x}"


def _kind(step: Step) -> str:
    return step.action.fault.type if isinstance(step.action, Inject) else ""


def _wait_for_signals(viewer: Viewer) -> None:
    """Wait until the viewer handles SIGUSR1, which would end it before that."""
    status = Path(f"/proc/{viewer.popen.pid}/status")

    def has_handler() -> bool:
        with suppress(FileNotFoundError):
            for line in status.read_text().splitlines():
                if line.startswith(_CAUGHT):
                    return bool(int(line.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1)
        return viewer.popen.poll() is not None

    wait_until(has_handler, "the viewer to handle SIGUSR1")


def _wait_for_history(simulator: _Simulator, judged: Sequence[_Judged]) -> None:
    """Wait until every viewer has received its history."""

    def are_done() -> bool:
        viewers = simulator.viewers()
        return len(viewers) == len(judged) and all(one["past_done"] for one in viewers)

    wait_until(are_done, "every viewer to receive its history")


def _break(
    simulator: _Simulator, situation: Situation, judged: Sequence[_Judged], bound_s: float
) -> None:
    """Inject the situation's faults, judging the viewers meanwhile."""
    pause, began_s = threading.Event(), time.monotonic()
    steps = list(situation.steps)
    if situation.scenario:
        body = {"seed": SEED, "speed": situation.speed}
        simulator.ask("POST", f"/simulator/scenarios/{situation.scenario}", body)
    while pending := [one for one in judged if not one.is_decided]:
        elapsed_s = time.monotonic() - began_s
        while steps and steps[0].at_ms <= elapsed_s * 1_000:
            simulator.inject(steps.pop(0))
        for one in pending:
            one.look()
        is_over = not steps and not (situation.scenario and simulator.is_playing())
        if is_over and (elapsed_s > bound_s or not any(one.is_wanted_broken for one in pending)):
            return
        pause.wait(LOOK_S)


def _converge(simulator: _Simulator, judged: Sequence[_Judged], bound_s: float) -> None:
    """After healing, wait until every viewer has shown and verified everything."""
    if all(one.is_decided for one in judged):
        return
    newest_ms, visible_ms = simulator.stop_writing()
    pause, began_s = threading.Event(), time.monotonic()
    while pending := [one for one in judged if not one.is_decided]:
        since_s = time.monotonic() - began_s
        for one in pending:
            one.look_at_the_end(newest_ms, visible_ms, since_s)
        if since_s > bound_s:
            return
        pause.wait(LOOK_S)
