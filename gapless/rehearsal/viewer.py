"""A viewer without a screen, restarted whenever a fault kills it, and what it has shown.

A killed viewer resumes at its saved cursor, so its last record begins there; what it printed
before it was killed was shown as well. It may have been killed between printing and saving, so
that its next process prints lines again: those are no duplicates. Lines that one process shows
twice are.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, Self

import msgspec

from common.errors import EXIT_CANNOT_CONNECT, GaplessError
from common.processes import ERROR_PREFIX, STOP_WITHIN_S, child_environment, stop_process
from common.state import STATE_DIR_VARIABLE
from common.times import iso
from wire.codec import encode
from wire.record import EntryReader, Event

_EVENTS: Final = EntryReader[Event](Event)


def joined(record: bytes, earlier: Sequence[bytes]) -> bytes:
    """Return a record with the events that earlier processes printed as NDJSON added to its own."""
    if not earlier:
        return record
    # As bytes: text would end a line at every separator that a message has in it.
    lines = [line for line in record.split(b"\n") if line]
    events: list[Event] = []
    others: list[bytes] = []
    for line in lines[1:]:
        event = _EVENTS.read(line)
        if event is None:
            others.append(line)
        else:
            events.append(event)
    known = {_identity(one) for one in events}
    added: list[Event] = []
    for printed in earlier:
        fresh = [one for one in events_of(printed) if _identity(one) not in known]
        added += fresh
        known |= {_identity(one) for one in fresh}
    # The record's own order is kept, since it is what is judged.
    merged = heapq.merge(events, sorted(added, key=_place), key=_place)
    return b"".join(line + b"\n" for line in (*lines[:1], *map(encode, merged), *others))


def events_of(printed: bytes) -> list[Event]:
    """Return the events of a process's output, without a last line that is incomplete."""
    whole, _, _ = printed.rpartition(b"\n")
    read = (_EVENTS.read(line) for line in whole.split(b"\n") if line)
    return [event for event in read if event is not None]


def _identity(event: Event) -> tuple[object, ...]:
    return (event.id, event.log_stream, event.timestamp, event.message)


def _place(event: Event) -> tuple[int, int]:
    return (event.timestamp, int(event.id))


LINES_MAX: Final = 2_000_000
"""Lines kept in memory, which are those of a record: as many as the ledger holds."""

RECORD_WITHIN_S: Final = 60.0
"""Longest that a viewer may take to write its record; one of a million events takes seconds."""

_REPEAT_S: Final = 5.0
_LOOK_S: Final = 0.02
_CHUNK_BYTES: Final = 1 << 20


class _ViewerProcess:
    """One viewer process, and the file that its output goes to.

    The output passes through a pipe of ours, so that the viewer ends if we are killed.
    """

    def __init__(self, arguments: list[str], output: Path, errors: Path, state: Path) -> None:
        self.output = output
        self._errors = errors
        with errors.open("wb") as stderr:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "gapless", "tail", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=child_environment(os.environ) | {STATE_DIR_VARIABLE: str(state)},
                start_new_session=True,
            )
        assert self.process.stdout is not None
        self.lines = 0
        self.began_ms = time.time_ns() // 1_000_000
        self.ended_ms: int | None = None
        self._pump = threading.Thread(
            target=self._copy, args=(self.process.stdout,), name="output", daemon=True
        )
        self._pump.start()

    def end(self) -> None:
        stop_process(self.process)
        # Bounded: a process that inherited the output could keep the pipe open.
        self._pump.join(STOP_WITHIN_S)

    def _copy(self, source: IO[bytes]) -> None:
        with source, self.output.open("wb") as target:
            while chunk := os.read(source.fileno(), _CHUNK_BYTES):
                target.write(chunk)
                target.flush()
                self.lines += chunk.count(b"\n")
        self.ended_ms = time.time_ns() // 1_000_000

    def last_error(self) -> str:
        lines = self._errors.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1].removeprefix(ERROR_PREFIX) if lines else "it printed no error"


class RecordingViewer:
    """``gapless tail`` with a record, in one process after another.

    The caller ignores SIGUSR1, which the processes inherit: otherwise asking for a record too
    early would end them.
    """

    def __init__(self, url: str, since_ms: int, folder: Path) -> None:
        """Start nothing yet; ``folder`` is for its files alone."""
        self._url = url
        self._since = iso(since_ms)
        self._folder = folder
        self._record = folder / "record.ndjson"
        self._processes: list[_ViewerProcess] = []

    @property
    def pid(self) -> int | None:
        """Process id of the running viewer; None if none runs."""
        return self._processes[-1].process.pid if self.is_running else None

    @property
    def starts(self) -> int:
        """How many processes were started."""
        return len(self._processes)

    @property
    def lives(self) -> list[tuple[int, int | None]]:
        """When each process started and ended, ms since the Unix epoch; None: it runs."""
        return [(viewer.began_ms, viewer.ended_ms) for viewer in self._processes]

    @property
    def is_running(self) -> bool:
        """Whether a viewer process runs."""
        return bool(self._processes) and self._processes[-1].process.poll() is None

    @property
    def lines(self) -> int:
        """Lines that all processes have printed."""
        return sum(viewer.lines for viewer in self._processes)

    def start(self) -> None:
        """Start a process, which resumes where a fault killed the one before.

        Raises:
            GaplessError: the last process ended otherwise, which it must not.
        """
        if self._processes:
            self._check(self._processes[-1])
        number = len(self._processes)
        arguments = [
            *(self._url, "--since", self._since, "--resume", "--output", "json"),
            *("--order", "arrival", "--record", str(self._record)),
            *("--in-memory", str(LINES_MAX)),
        ]
        self._processes.append(
            _ViewerProcess(
                arguments,
                self._folder / f"viewer-{number}.ndjson",
                self._folder / f"viewer-{number}.stderr",
                self._folder / "state",
            )
        )

    def _check(self, viewer: _ViewerProcess) -> None:
        viewer.end()
        code = viewer.process.returncode
        # A process that finds nothing to connect to ends; the caller starts another.
        if code not in (-signal.SIGKILL, EXIT_CANNOT_CONNECT):
            msg = f"the viewer ended with exit code {code}: {viewer.last_error()}"
            raise GaplessError(msg)

    def record(self, stop: threading.Event) -> bytes | None:
        """Return what all processes have shown by now, as one record; None if none runs.

        Raises:
            GaplessError: the viewer does not write its record in time.
        """
        self._record.unlink(missing_ok=True)
        deadline = time.monotonic() + RECORD_WITHIN_S
        ask_at = 0.0
        while not stop.is_set():
            if not self.is_running:
                return None
            if time.monotonic() >= ask_at:
                ask_at = time.monotonic() + _REPEAT_S
                self._processes[-1].process.send_signal(signal.SIGUSR1)
            with contextlib.suppress(FileNotFoundError):
                return joined(self._record.read_bytes(), self._earlier())
            if time.monotonic() > deadline:
                msg = f"the viewer wrote no record within {RECORD_WITHIN_S:.0f} s"
                raise GaplessError(msg)
            stop.wait(_LOOK_S)
        return None

    def _earlier(self) -> list[bytes]:
        return [viewer.output.read_bytes() for viewer in self._processes[:-1]]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for viewer in self._processes:
            viewer.end()


_PROC: Final = Path("/proc")
_STAT_TIMES: Final = slice(11, 13)
"""utime and stime in ``/proc/PID/stat``, counted from after the name (proc(5))."""


class Usage(msgspec.Struct, frozen=True):
    """CPU seconds, and the largest resident memory, in bytes."""

    cpu_s: float
    peak_bytes: int


class Meter:
    """Adds up what the processes of one program use."""

    def __init__(self) -> None:
        self._by_pid: dict[int, Usage] = {}

    def read(self, pid: int | None) -> None:
        """Read what a process has used by now; an ended one keeps its last reading."""
        usage = None if pid is None else usage_of(pid)
        if pid is not None and usage is not None:
            self._by_pid[pid] = usage

    @property
    def processes(self) -> int:
        """Number of processes that were read."""
        return len(self._by_pid)

    @property
    def total(self) -> Usage:
        """CPU time of all processes, and the largest memory of any."""
        every = self._by_pid.values()
        cpu_s = round(sum(one.cpu_s for one in every), 2)
        return Usage(cpu_s, max((one.peak_bytes for one in every), default=0))


def usage_of(pid: int, proc: Path = _PROC) -> Usage | None:
    """Return what a process has used by now; None if it has ended or there is no ``/proc``."""
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        status = (proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
        user, system = map(int, stat.rpartition(")")[2].split()[_STAT_TIMES])
        (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    except (OSError, ValueError):
        return None
    return Usage((user + system) / os.sysconf("SC_CLK_TCK"), int(peak) << 10)
