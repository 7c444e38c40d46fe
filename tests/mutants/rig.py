"""One run: a real simulator, the programs as processes, a situation, and the simulator's verdict.

A viewer is judged again and again while things are wrong, by what it shows at that moment, and
once more after everything was healed and it had time to converge.
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
"""What is wrong whenever it is seen."""

UNPROVED: Final = "unproved"
"""Ranges of which viewer and forwarder do not agree, counted like the verdict's own kinds."""

IN_THE_END: Final = frozenset({"lost", "undeclared", UNPROVED})
"""What is wrong only of who has had the time to make it good."""

NEVER: Final = "never converged"

LOOK_S: Final = 0.4
"""Between two verdicts on the same viewer."""

SILENT_S: Final = 5.0
"""Who has told of no scan for so long after healing is not waited for any longer."""

_CAUGHT: Final = "SigCgt:"
_ENDS: Final = (0, 5, 6)
"""Exit codes of a viewer that has followed an execution to its end."""


class Finding(NamedTuple):
    """What the oracle had to say of one program in one situation."""

    found: Mapping[str, int]
    """The most that was counted of each kind."""
    converged_s: float | None
    """How long after healing all was shown and proved; None: never."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found, ever."""
        return not self.found and self.converged_s is not None

    def told(self) -> str:
        """In a few words."""
        counted = [f"{kind} {count:,}" for kind, count in sorted(self.found.items())]
        if self.converged_s is None and not self.found.keys() & AT_ONCE:
            counted.append(NEVER)
        return ", ".join(counted) or "clean"


class Subject(NamedTuple):
    """A program under judgement, and what is looked for."""

    mutant: Mutant | None
    """None is the product itself."""
    wanted: frozenset[str] | None = None
    """Kinds that end its run once all are found; None: whatever is wrong at any time. What is
    never found, as with nothing in it, goes on until it converges."""

    def is_found(self, found: Mapping[str, int]) -> bool:
        """Whether there is no need to go on."""
        if self.wanted is None:
            return bool(found.keys() & AT_ONCE)
        return bool(self.wanted) and self.wanted <= found.keys()


class _Simulator:
    """A running simulator's control API."""

    def __init__(self, process: GaplessProcess) -> None:
        self.part = process
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
        """What the forwarder says of its viewers; nothing while it can't be reached."""
        with suppress(OSError, ValueError):
            with urllib.request.urlopen(self.ready["http"] + "/v1/viewers", timeout=5) as answer:
                told: list[dict[str, Any]] = json.loads(answer.read())
            return told
        return []

    def is_playing(self) -> bool:
        """Whether a scenario runs."""
        told = self.ask("GET", "/simulator/scenario")
        assert told["state"] != "failed", told["error"]
        return bool(told["state"] == "running")

    def silence(self) -> tuple[int, int]:
        """Nothing more is written; the newest timestamp, and when all of it is visible, in ms."""
        self.ask("POST", "/simulator/workload", {"running": False})
        wait_until(lambda: bool(self.ask("GET", "/simulator/workload")["idle"]), "silence")
        url = self.ready["control"] + "/simulator/ledger"
        with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
            events = [json.loads(line) for line in answer]
        return max(one["timestamp"] for one in events), max(one["visible_ms"] for one in events)


class _Judged:
    """One viewer under judgement."""

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
        """Whether things must stay wrong until it is found."""
        wanted = self.subject.wanted or frozenset()
        return bool(wanted & AT_ONCE) and not self.is_decided

    def look(self) -> None:
        """Note what is wrong at any time."""
        if self._has_ended() or not self._ends:
            verdict, _ = self._verdict()
            self._note(verdict, AT_ONCE)

    def look_at_the_end(self, newest_ms: int, visible_ms: int, since_s: float) -> None:
        """Likewise, when it may have converged; what is missing is noted once that is late."""
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
    """Run mutants in a situation; what was found of each.

    Args:
        situation: what goes wrong.
        subjects: one forwarder, or any number of viewers of a forwarder that is as it should be.
        bound_s: how long it is waited for what is wanted, and for everything to converge; None:
            as long as the situation allows for.

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
            _wait_for_past(simulator, judged)
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
    """The execution of the fault, which follows from the seed and the fault's name."""
    seed = SEED << 32 | zlib.crc32(LAST_WORDS.encode())
    return f"{Random(f'{seed}/0').getrandbits(48):012x}"


def _kind(step: Step) -> str:
    return step.action.fault.type if isinstance(step.action, Inject) else ""


def _wait_for_signals(viewer: Viewer) -> None:
    """Until it can be asked for its record: before, the signal would end it."""
    status = Path(f"/proc/{viewer.popen.pid}/status")

    def listens() -> bool:
        with suppress(FileNotFoundError):
            for line in status.read_text().splitlines():
                if line.startswith(_CAUGHT):
                    return bool(int(line.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1)
        return viewer.popen.poll() is not None

    wait_until(listens, "the viewer to listen")


def _wait_for_past(simulator: _Simulator, judged: Sequence[_Judged]) -> None:
    """Until every viewer has its past."""

    def have_it() -> bool:
        told = simulator.viewers()
        return len(told) == len(judged) and all(one["past_done"] for one in told)

    wait_until(have_it, "every viewer to have its past")


def _break(
    simulator: _Simulator, situation: Situation, judged: Sequence[_Judged], bound_s: float
) -> None:
    """Let go wrong what does, judging all the while."""
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
    """Nothing is wrong any more: give everybody time to show and to prove what there is."""
    if all(one.is_decided for one in judged):
        return
    newest_ms, visible_ms = simulator.silence()
    pause, began_s = threading.Event(), time.monotonic()
    while pending := [one for one in judged if not one.is_decided]:
        since_s = time.monotonic() - began_s
        for one in pending:
            one.look_at_the_end(newest_ms, visible_ms, since_s)
        if since_s > bound_s:
            return
        pause.wait(LOOK_S)
