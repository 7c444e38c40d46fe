"""The viewers of a soak as processes: consumers that are ended again and again, and the screen."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import IO, Any, Final, NamedTuple

import psutil

from common.errors import EXIT_CANNOT_CONNECT, exit_code_of_signal
from tests.chaos.gestures import ESC, Size, drawn
from tests.soak.outputs import ANNOUNCED, Life, Printed, read_json, read_text
from tests.soak.trend import Sample
from tests.support.processes.gapless_processes import WAIT_S, clean_environment, wait_until
from tests.support.pseudo_terminal import TerminalProcess

_CHUNK_BYTES: Final = 1 << 20
_END_S: Final = 60.0

_UNTIMED: Final = frozenset({"suspend", "save", "picker"})
"""Gestures that stop the screen, fill the disk, or leave the targets that are judged."""


def measure(pid: int, at_s: float, lines: int) -> Sample | None:
    """Measure a process; None if it has ended."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            memory = process.memory_full_info()
            return Sample(at_s, memory.rss, memory.pss, process.num_fds(), lines)
    except (psutil.Error, OSError):
        return None


class Query(NamedTuple):
    """What a consumer prints, and how it is ended."""

    name: str
    output: str
    options: Sequence[str]
    end: signal.Signals
    is_strict: bool = False
    is_filtered: bool = False


QUERIES: Final = (
    Query("strict", "json", ("--order", "strict"), signal.SIGKILL, is_strict=True),
    Query(
        "hostile",
        "json",
        ("--order", "arrival", "--grep", "/(a+)+b|error.*timeout/"),
        signal.SIGKILL,
        is_filtered=True,
    ),
    Query("text", "text", ("--order", "arrival"), signal.SIGTERM),
)
"""The consumers: strict order, a hostile pattern, and text, which is always ended in order."""


class _Process:
    """One process of a consumer; its output passes through a thread that notes the times."""

    def __init__(self, arguments: Sequence[str], output: Path, state: Path) -> None:
        self.output = output
        self.errors = output.with_suffix(".stderr")
        with self.errors.open("wb") as stderr:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "gapless", "tail", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=clean_environment(state),
                start_new_session=True,
            )
        assert self.popen.stdout is not None
        self.was_killed = False
        self._ended_s = 0.0
        self._lines = 0
        self._times: list[float] = []
        self._counts: list[int] = []
        self._pump = threading.Thread(target=self._copy, args=(self.popen.stdout,), daemon=True)
        self._pump.start()

    def _copy(self, source: IO[bytes]) -> None:
        with source, self.output.open("wb") as target:
            while chunk := os.read(source.fileno(), _CHUNK_BYTES):
                target.write(chunk)
                target.flush()
                self._lines += chunk.count(b"\n")
                self._times.append(time.monotonic())
                self._counts.append(self._lines)

    def end(self, number: signal.Signals) -> None:
        if self.popen.poll() is None:
            self.was_killed = number == signal.SIGKILL
            self._ended_s = time.monotonic()
            self.popen.send_signal(number)
        self.popen.wait(_END_S)
        self._pump.join(_END_S)

    def life(self, query: Query) -> Life:
        """What it printed, so far or in all."""
        data = self.output.read_bytes()
        # Once it has been asked to end, a consumer saves what it prints.
        end_s = self._ended_s or time.monotonic()

        def age_of(number: int) -> float:
            at = bisect_right(self._counts, number)
            return end_s - self._times[at] if at < len(self._times) else 0.0

        lines: list[Printed] = (
            list(read_json(data, age_of, is_strict=query.is_strict))
            if query.output == "json"
            else list(read_text(data))
        )
        announces = ANNOUNCED in self.errors.read_text(encoding="utf-8", errors="replace")
        is_torn = bool(data) and not data.endswith(b"\n")
        return Life(lines, self.was_killed, announces, is_torn)

    def last_error(self) -> str:
        lines = self.errors.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1][:300] if lines else "it printed no error"


class EndlessConsumer:
    """A named consumer in one process after another, each of which resumes."""

    def __init__(self, query: Query, url: str, since: str, folder: Path) -> None:
        self.query = query
        self._arguments = [
            *(url, "--since", since, "--output", query.output, "--resume", f"soak-{query.name}"),
            *("--in-memory", "10000", *query.options),
        ]
        self._folder = folder
        self._processes: list[_Process] = []
        self.kills = 0

    @property
    def pid(self) -> int | None:
        """Process id; None while none runs."""
        return self._processes[-1].popen.pid if self.is_running else None

    @property
    def is_running(self) -> bool:
        """Whether a process runs."""
        return bool(self._processes) and self._processes[-1].popen.poll() is None

    def start(self) -> None:
        """Start the next process; AssertionError if the last one ended of itself."""
        if self._processes:
            self._check(self._processes[-1])
        number = len(self._processes)
        output = self._folder / f"{self.query.name}-{number}.out"
        self._processes.append(_Process(self._arguments, output, self._folder / "state"))

    def end(self, number: signal.Signals | None = None) -> None:
        """End the process as its query says, or by another signal."""
        if self.is_running:
            self.kills += 1
            self._processes[-1].end(number or self.query.end)

    def _check(self, process: _Process) -> None:
        process.end(self.query.end)
        code = process.popen.returncode
        rightly = (-signal.SIGKILL, exit_code_of_signal(signal.SIGTERM), EXIT_CANNOT_CONNECT)
        assert code in rightly, f"{self.query.name} ended with {code}: {process.last_error()}"

    def lives(self) -> Iterator[Life]:
        """What each process has printed."""
        return (process.life(self.query) for process in self._processes)

    def close(self) -> None:
        """End the process."""
        for process in self._processes:
            process.end(signal.SIGKILL)


class SoakedScreen:
    """The viewer's screen on a pseudo terminal, with random keys, restarted when it is killed."""

    def __init__(self, url: str, since: str, folder: Path, seed: int) -> None:
        self._record = folder / "screen.record.ndjson"
        self._arguments = ["tail", url, "--since", since, "--record", str(self._record)]
        self._state = folder / "state"
        self._rng = Random(f"screen/{seed}")
        self._gestures = drawn(seed, str(folder), controls=False)
        self._pause = threading.Event()
        self._terminal: TerminalProcess | None = None
        self.starts = 0
        self.gestures = 0
        self.has_quit = False

    @property
    def pid(self) -> int | None:
        """Process id; None while none runs."""
        return self._terminal.popen.pid if self._terminal and self.is_running else None

    @property
    def is_running(self) -> bool:
        """Whether a process runs."""
        return self._terminal is not None and self._terminal.popen.poll() is None

    def start(self) -> None:
        """Start a process; AssertionError if the last one ended of itself."""
        if self._terminal is not None:
            code = self._terminal.popen.returncode
            rightly = (-signal.SIGKILL, EXIT_CANNOT_CONNECT)
            assert code in rightly, f"the screen ended with {code}: {self._terminal.written[-900:]}"
            self.close()
        self._terminal = TerminalProcess(*self._arguments, state=self._state)
        self.starts += 1

    def gesture(self) -> None:
        """Press the keys of one random gesture."""
        name, strokes, _ = next(self._gestures)
        if self._terminal is None or not self.is_running or name in _UNTIMED:
            return
        for stroke in strokes:
            if isinstance(stroke, Size):
                self._terminal.resize(*stroke)
            else:
                with contextlib.suppress(OSError):  # it has been killed
                    self._terminal.press(stroke)
            self._pause.wait(0.15 if stroke == ESC else 0.02)
        self.gestures += 1

    def record(self) -> bytes | None:
        """Let it write its record; None if it is not running. AssertionError if it hangs."""
        self._record.unlink(missing_ok=True)
        deadline = time.monotonic() + WAIT_S
        while self.is_running and self._terminal is not None:
            assert time.monotonic() < deadline, "the screen writes no record: it hangs"
            self._terminal.popen.send_signal(signal.SIGUSR1)
            until = time.monotonic() + 5
            while time.monotonic() < until and self.is_running:
                if self._record.exists():
                    return self._record.read_bytes()
                self._pause.wait(0.05)
        return None

    def quit(self) -> bytes:
        """Quit by keys; returns the last record. AssertionError if it does not end well."""
        terminal = self._terminal
        assert terminal is not None
        for _ in range(8):
            terminal.press(ESC)
            self._pause.wait(0.15)
        self._record.unlink(missing_ok=True)
        self.has_quit = True
        terminal.press("q")
        wait_until(lambda: not self.is_running, "the end of the screen")
        assert terminal.popen.returncode == 0, terminal.written[-900:]
        assert terminal.attributes() == terminal.before, "the terminal is not restored"
        return self._record.read_bytes()

    def close(self) -> None:
        """End the process."""
        if self._terminal is not None:
            self._terminal.__exit__(None, None, None)
            self._terminal = None


def proved_ms(record: bytes) -> int:
    """Through when a record's viewer had verified everything, in ms."""
    last: dict[str, Any] = json.loads(record.rstrip(b"\n").rpartition(b"\n")[2])
    return int(last.get("complete_through") or 0)
