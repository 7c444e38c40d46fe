"""Runs the viewer on a real terminal with random keys during scenario ``chaos``, and judges it.

The simulator's ledger judges the viewer's record. The picture only shows that the viewer still
draws, and whether it claims completeness at the end.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import msgspec
import psutil

from common.errors import EXIT_CANNOT_CONNECT, UsageError
from gapless.rehearsal import play
from gapless.rehearsal.result import UNSAFE, WRONG, findings
from simulator.client import ControlApi
from simulator.scenarios.scripted import SCENARIOS
from tests.chaos.agreement import claims_of, contradictions, rows_of
from tests.chaos.gestures import ESC, SUSPEND, Size, Stroke, drawn
from tests.support.processes.gapless_processes import WAIT_S, GaplessProcess, wait_until
from tests.support.pseudo_terminal import TerminalProcess

SMALL: Final = 10_000
"""Lines in memory: the smallest number that the command accepts."""

PAST: Final = 15_000
"""Lines written before the viewer starts, if memory is to be too small for them."""

BARRIER_EVERY: Final = 8
"""Gestures between two checks that the viewer still answers."""

CONVERGE_S: Final = 240
"""Timeout for completeness after all faults end; ``play`` needs less, as it has no competition."""

NO_AWS: Final = "http://127.0.0.1:9"
"""Where the picker looks for log groups: nothing listens there."""

FOOTER: Final = " menu"
"""What a screen shows that acts on keys; ``starting`` shows only how to quit."""

ASK_AGAIN_S: Final = 5
"""A viewer that has just started does not handle the signal yet that asks for its record."""

PACE_S: Final = 0.03
PAUSES_S: Final[dict[Stroke, float]] = {ESC: 0.15, SUSPEND: 1.0}
"""Sooner, Esc and the next key would be read as that key with Alt, as terminals send it; and a
viewer is to be suspended for a while."""

CAREFUL: Final = frozenset({"faults", "palette", "palette runs", "picker", "suspend"})
"""Gestures of which each key must have taken effect before the next one."""

COLUMNS: Final = 120
ROWS: Final = (24, 60)

_PLACE: Final = re.compile(r"\x1b\[\d+;\d+H")
_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)")


class Variant(NamedTuple):
    """Additional difficulties of a run."""

    small: bool = False
    """Memory holds fewer lines than there are."""
    two: bool = False
    """The viewer watches two targets, each with its own faults."""
    killed: bool = False
    """The viewer is killed again and again, and resumes at its cursor."""

    @property
    def has_controls(self) -> bool:
        """Whether the screen has the simulator's switches, as only ``demo`` has."""
        return not (self.two or self.killed)


class Report(msgspec.Struct):
    """The counts of a run."""

    seed: int
    gestures: list[str] = []
    barriers: int = 0
    claims: int = 0
    """Pictures whose verdict was compared with what the rest of them says."""
    looks: int = 0
    lives: int = 0
    shown: int = 0
    refetched: int = 0
    expired: int = 0
    seconds: float = 0


class Rig:
    """One run of simulators and a viewer.

    Args:
        seed: Determines faults and gestures.
        speed: Factor by which the scenario runs faster.
        folder: Empty folder for its files.
        variant: Additional difficulties.

    """

    def __init__(self, seed: int, speed: float, folder: Path, variant: Variant) -> None:
        self._seed = seed
        self._speed = speed
        self._folder = folder
        self._variant = variant
        self._record = folder / "record.ndjson"
        self._rng = Random(f"rig/{seed}")
        self._pause = threading.Event()
        self._rows = ROWS[0]
        self.report = Report(seed)
        self._apis: list[ControlApi] = []
        self._arguments: list[str] = []
        self._program: Sequence[str] = ("-m", "gapless")
        self._terminal: TerminalProcess

    def run(self) -> Report:
        """Run to the end; AssertionError names what is wrong."""
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            # Viewers inherit it: SIGUSR1 before they handle it would end them.
            before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            stack.callback(signal.signal, signal.SIGUSR1, before)
            self._begin(stack)
            with stack.enter_context(contextlib.ExitStack()) as self._lives:
                self._start()
                self._see_first_lines()
                self._storm()
                self._heal()
                self._leave()
        self.report.seconds = time.monotonic() - began
        return self.report

    # The simulators, and the viewer

    def _begin(self, stack: contextlib.ExitStack) -> None:
        seeds = [self._seed, self._seed + 1][: 1 + self._variant.two]
        setups = [SCENARIOS["chaos"].setup_for(seed) for seed in seeds]
        processes = [
            stack.enter_context(
                GaplessProcess(
                    *("simulate", "--seed", str(setup.seed), *play.simulate_arguments(setup)),
                    state=self._folder / f"simulator-{number}",
                )
            )
            for number, setup in enumerate(setups)
        ]
        readies = [process.ready() for process in processes]
        self._apis = [ControlApi(str(ready["control"])) for ready in readies]
        if self._variant.small:
            for api in self._apis:
                burst = {"events": PAST, "span_ms": 60_000}
                api.switch_on({"type": "burst", "name": "past", "attributes": burst})
        since_ms = time.time_ns() // 1_000_000 - setups[0].since_ms
        if self._variant.has_controls:
            self._program = ("-m", "tests.chaos.screen")
            self._arguments = [
                json.dumps(
                    {
                        "url": readies[0]["websocket"],
                        "group": readies[0]["group"],
                        "control": readies[0]["control"],
                        "since": since_ms,
                        "record": str(self._record),
                        "capacity": SMALL if self._variant.small else None,
                    }
                )
            ]
            return
        self._arguments = [
            *("tail", *(str(ready["websocket"]) for ready in readies)),
            *("--since", datetime.fromtimestamp(since_ms / 1_000, UTC).isoformat()),
            *("--resume", "--record", str(self._record)),
            *(("--in-memory", str(SMALL)) if self._variant.small else ()),
        ]

    def _start(self) -> None:
        self._terminal = self._lives.enter_context(
            TerminalProcess(
                *self._arguments,
                state=self._folder,
                program=self._program,
                environment={"PYTHONFAULTHANDLER": "1", "AWS_ENDPOINT_URL": NO_AWS},
            )
        )
        self.report.lives += 1
        # Keys pressed before the screen is there could be lost, and the rest mean something else:
        # the path of a file to save would be read as commands.
        wait_until(lambda: not self._is_running or FOOTER in self._terminal.written, "a screen")

    @property
    def _is_running(self) -> bool:
        return self._terminal.popen.poll() is None

    def _check_running(self) -> None:
        """Restart a viewer that was killed or could not connect; it may end for no other reason."""
        if self._is_running:
            return
        code = self._terminal.popen.returncode
        written = plain(self._terminal.written)[-2_000:]
        assert self._variant.killed, (
            f"the viewer ended with {code} after {self.report.gestures[-12:]}: {written}"
        )
        assert code in (-signal.SIGKILL, EXIT_CANNOT_CONNECT), f"it ended with {code}: {written}"
        self._start()

    def _see_first_lines(self) -> None:
        wanted = PAST if self._variant.small else 1
        wait_until(lambda: self._status(self._read_record())["events"] >= wanted, "the first lines")

    # Chaos

    def _storm(self) -> None:
        began = [self._begin_scenario(number) for number in range(len(self._apis))]
        looks = [share * began[0]["ends_ms"] for share in (0.3, 0.6, 0.9)]
        kills = [share * began[0]["ends_ms"] for share in (0.25, 0.5, 0.75)]
        folder = str(self._folder)
        moves = drawn(self._seed, folder, controls=self._variant.has_controls)
        is_whole = False
        for number, (name, strokes, is_last) in enumerate(moves, start=1):
            self._check_running()
            self.report.gestures.append(name)
            self._press(strokes, carefully=name in CAREFUL)
            is_whole = is_whole or is_last
            if number % BARRIER_EVERY == 0:
                self._barrier()
                scenarios = [api.scenario() for api in self._apis]
                if is_whole and all(one["state"] != "running" for one in scenarios):
                    break
                elapsed_ms = scenarios[0]["elapsed_ms"]
                if looks and elapsed_ms >= looks[0]:
                    looks.pop(0)
                    self._judge_meanwhile()
                if self._variant.killed and kills and elapsed_ms >= kills[0]:
                    kills.pop(0)
                    self._kill()
        for api in self._apis:
            scenario = api.scenario()
            assert scenario["state"] == "done", scenario["error"]

    def _begin_scenario(self, number: int) -> dict[str, Any]:
        self._hand_over()
        return self._apis[number].run_scenario("chaos", self._seed + number, self._speed)

    def _hand_over(self) -> None:
        if self._variant.killed:
            for api in self._apis:
                with contextlib.suppress(
                    UsageError
                ):  # it has just ended; _check_running will notice
                    api.register_viewer(self._terminal.popen.pid)

    def _kill(self) -> None:
        self._terminal.popen.kill()
        self._terminal.popen.wait(WAIT_S)
        self._check_running()
        self._hand_over()

    def _press(self, strokes: Sequence[Stroke], *, carefully: bool = False) -> None:
        """Press keys; carefully, wait after each one until the viewer has acted on it.

        On a busy machine a panel could stay open, as keys come before it is there, or Esc and the
        next key are read as one with Alt. Any letter in the fault panel switches a fault, and Enter
        in the picker opens another screen, which has a record of its own; so may Enter in the menu
        before it has found what was typed. Keys for a suspended viewer would be the shell's.
        """
        for stroke in strokes:
            if isinstance(stroke, Size):
                self._terminal.resize(*stroke)
            else:
                with contextlib.suppress(OSError):  # the viewer was killed
                    self._terminal.press(stroke)
            self._pause.wait(PAUSES_S.get(stroke, PACE_S))
            if carefully:
                self._barrier()

    def _barrier(self) -> None:
        """Resize, and wait for the new picture: then every message pump still works."""
        low, high = ROWS
        self._rows = self._rows + 1 if self._rows < high else low
        before = len(self._terminal.written)
        self._terminal.resize(COLUMNS, self._rows)
        last_row = f"\x1b[{self._rows};1H"

        def is_drawn() -> bool:
            self._wake()
            return not self._is_running or last_row in self._terminal.written[before:]

        with self._explained():
            wait_until(is_drawn, f"a picture of {self._rows} rows")
        self.report.barriers += 1
        # What follows the last row belongs to the next picture, of which the rest may be missing.
        picture, _, rest = self._terminal.written[before:].partition(last_row)
        self._check_claims(picture + last_row + _PLACE.split(rest, 1)[0])

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Add to a failed wait what the viewer shows, what it does, and what it was told."""
        try:
            yield
        except AssertionError as error:
            self._terminal.popen.send_signal(signal.SIGABRT)  # faulthandler prints its stacks
            self._terminal.popen.wait(WAIT_S)
            text = plain(self._terminal.written)[-6_000:]
            msg = f"{error}; the last gestures: {self.report.gestures[-12:]}; {text}"
            raise AssertionError(msg) from error

    def _check_claims(self, written: str) -> None:
        """What a picture says of the connection, of completeness, and of the verdict must agree."""
        claims = claims_of(rows_of(written, COLUMNS))
        if claims is not None:
            wrong = contradictions(claims)
            assert not wrong, f"{wrong}: {claims}; {self.report.gestures[-12:]}"
            self.report.claims += bool(claims.verdict)

    def _wake(self) -> None:
        """Continue a suspended viewer, as the shell's ``fg`` does."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(self._terminal.popen.pid).status() == psutil.STATUS_STOPPED:
                self._terminal.popen.send_signal(signal.SIGCONT)

    # The record

    def _read_record(self) -> list[dict[str, Any]]:
        """Have the viewer write its record, and read it; restarts a viewer that was killed."""
        self._record.unlink(missing_ok=True)
        asked_at = -math.inf

        def is_written() -> bool:
            nonlocal asked_at
            if not self._is_running:
                self._check_running()
                self._hand_over()
                asked_at = -math.inf
            if time.monotonic() >= asked_at + ASK_AGAIN_S:
                self._terminal.popen.send_signal(signal.SIGUSR1)
                asked_at = time.monotonic()
            return self._record.exists()

        with self._explained():
            wait_until(is_written, "the viewer's record")
        return [json.loads(line) for line in self._record.read_bytes().splitlines()]

    @staticmethod
    def _status(record: Sequence[dict[str, Any]]) -> dict[str, Any]:
        refetched = sum(one.get("recalled", False) for one in record)
        events = sum(one["type"] == "event" for one in record)
        return {**record[-1], "events": events, "refetched": refetched}

    def _verdicts(self, record: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Each simulator's verdict on the part of the record that concerns it."""
        return [api.verdict(own(record, number)) for number, api in enumerate(self._apis)]

    def _judge_meanwhile(self) -> None:
        record = self._read_record()
        self.report.looks += 1
        # Without the evicted lines, which may be impossible to refetch now, marks cannot be judged.
        is_whole = not any(one["type"] == "evicted" for one in record)
        kinds = [kind for kind in UNSAFE if is_whole or kind != "marks_lied"]
        for verdict in self._verdicts(record):
            wrong = findings(verdict, kinds)
            assert not wrong, f"while faults were on: {wrong}: {verdict['examples']}"

    def _heal(self) -> None:
        """End all faults: the viewer must become complete, and rightly so."""
        for api in self._apis:
            api.heal()
        self._check_running()
        # Esc closes whatever is open, one thing after the other.
        for _ in range(8):
            self._press([ESC])
            self._barrier()
        self._press(["G"])
        deadline = time.monotonic() + CONVERGE_S
        quiet_ms: int | None = None
        while True:
            self._check_running()
            is_silent = [api.stop_writing() for api in self._apis]
            if quiet_ms is None and all(is_silent):
                quiet_ms = time.time_ns() // 1_000_000
            record = self._read_record()
            verdicts = self._verdicts(record)
            wrong = [findings(verdict, WRONG) for verdict in verdicts]
            picture = self._picture()
            is_clean = all(one["clean"] and not one["pending"] for one in verdicts)
            status = self._status(record)
            through = status["complete_through"]
            lost = [one for one in record if one["type"] == "lost"]
            is_declared = bool(lost) and "MISSING" in picture
            is_proved = quiet_ms is not None and (through or 0) >= quiet_ms
            is_green = is_proved and "COMPLETE to" in picture and "MISSING" not in picture
            if is_clean and (is_green or is_declared):
                break
            assert time.monotonic() < deadline, (
                f"not green: {wrong}, complete to {through} of {quiet_ms}: "
                f"{[one['examples'] for one in verdicts]} {picture}"
            )
            self._pause.wait(0.5)
        self.report.shown = status["events"]
        self.report.expired = sum(one["expired"] for one in verdicts)
        self.report.refetched = status["refetched"]

    def _picture(self) -> str:
        """The text of a full redraw."""
        before = len(self._terminal.written)
        self._barrier()
        self._pause.wait(0.3)
        return plain(self._terminal.written[before:])

    def _leave(self) -> None:
        self._record.unlink(missing_ok=True)
        self._press(["q"])
        wait_until(lambda: not self._is_running, "the end", 2 * WAIT_S)
        written = self._terminal.written
        assert self._terminal.popen.returncode == 0, plain(written)[-2_000:]
        # Only this is left on the shell's screen: text before it went with the viewer's.
        left = plain(written.rpartition("\x1b[?1049l")[2]).strip()
        assert not left or left.startswith(("gapless: fetching", "Session of ")), left
        assert "FAIL" not in left.partition("\n")[0], left
        assert self._terminal.attributes() == self._terminal.before
        record = [json.loads(line) for line in self._record.read_bytes().splitlines()]
        for verdict in self._verdicts(record):
            assert verdict["clean"], verdict


def plain(written: str) -> str:
    """Terminal output without its escape sequences."""
    return _SEQUENCE.sub("", written)


def own(record: Sequence[dict[str, Any]], target: int) -> bytes:
    """The part of a record that concerns one of its targets."""
    return b"".join(_own_lines(record, target))


def _own_lines(record: Sequence[dict[str, Any]], target: int) -> Iterator[bytes]:
    for entry in record:
        one = dict(entry)
        if one["type"] == "record":
            one["targets"] = one["targets"][target : target + 1]
        elif "target" in one:
            if one["target"] not in (None, target):
                continue
            one["target"] = 0
        yield json.dumps(one).encode() + b"\n"
