"""A viewer without a screen, started again as often as a fault kills it.

Pure: what a viewer has shown in all its lives, as one record.

A viewer that was killed goes on at its saved cursor, so its last record begins there. What it
printed before it was killed was shown as well. It may have been killed between printing and
saving, so that the next life prints it again: that is no duplicate. One that a single life shows
twice is.

What processes use, as far as the system tells: time of the processor and memory.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import msgspec

from common.errors import EXIT_CANNOT_CONNECT, GaplessError
from common.processes import ERROR_PREFIX, STOP_WITHIN_S, child_environment, stop_process
from common.state import STATE_DIR_VARIABLE

Event = dict[str, Any]

_SHOWN: Final = ("id", "log_stream", "timestamp", "message")


def joined(record: bytes, earlier: Sequence[bytes]) -> bytes:
    """A record that has, beside its own events, those that earlier lives printed as NDJSON."""
    if not earlier:
        return record
    # As bytes: text would end a line at every separator that a message has in it.
    entries = [json.loads(line) for line in record.split(b"\n") if line]
    header, rest = entries[:1], entries[1:]
    events = [one for one in rest if one["type"] == "event"]
    known = {_identity(one) for one in events}
    added: list[Event] = []
    for printed in earlier:
        fresh = [one for one in events_of(printed) if _identity(one) not in known]
        added += fresh
        known |= {_identity(one) for one in fresh}
    # The record's own order is kept, since it is what is judged.
    merged = heapq.merge(events, sorted(added, key=_place), key=_place)
    others = [one for one in rest if one["type"] != "event"]
    return _lines([*header, *merged, *others])


def events_of(printed: bytes) -> list[Event]:
    """The events of a life's output; the line in which it was killed is none."""
    whole, _, _ = printed.rpartition(b"\n")
    return [{"type": "event", **json.loads(line)} for line in whole.split(b"\n") if line]


def _identity(event: Event) -> tuple[object, ...]:
    return tuple(event[name] for name in _SHOWN)


def _place(event: Event) -> tuple[int, int]:
    return (event["timestamp"], int(event["id"]))


def _lines(entries: Iterable[Event]) -> bytes:
    return b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in entries)


LINES_MAX: Final = 2_000_000
"""As many as the ledger holds: a record has the lines that are in memory."""

RECORD_WITHIN_S: Final = 60.0
"""Longest that a viewer may take to write its record; one of a million events takes seconds."""

_ASK_AGAIN_S: Final = 5.0
_LOOK_S: Final = 0.02
_CHUNK_BYTES: Final = 1 << 20


class _Life:
    """One process, and the file that its output goes to.

    It goes through a pipe of ours: a viewer whose reader is gone ends, however we ended.
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
        self._pump = threading.Thread(
            target=self._copy, args=(self.process.stdout,), name="output", daemon=True
        )
        self._pump.start()

    def end(self) -> None:
        stop_process(self.process)
        # Who has inherited its output, if anybody could, must not hold up everything.
        self._pump.join(STOP_WITHIN_S)

    def _copy(self, source: IO[bytes]) -> None:
        with source, self.output.open("wb") as target:
            while chunk := os.read(source.fileno(), _CHUNK_BYTES):
                target.write(chunk)
                target.flush()
                self.lines += chunk.count(b"\n")

    def last_error(self) -> str:
        lines = self._errors.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1].removeprefix(ERROR_PREFIX) if lines else "it said nothing about it"


class Viewer:
    """``gapless tail`` with a record; whoever uses it ignores SIGUSR1, which its lives inherit.

    Else a record asked for too early would end them.
    """

    def __init__(self, url: str, since_ms: int, folder: Path) -> None:
        """Nothing runs before ``start``; ``folder`` is for its files alone."""
        self._url = url
        self._since = datetime.fromtimestamp(since_ms / 1_000, UTC).isoformat()
        self._folder = folder
        self._record = folder / "record.ndjson"
        self._lives: list[_Life] = []

    @property
    def pid(self) -> int | None:
        """The running life's."""
        return self._lives[-1].process.pid if self.is_running else None

    @property
    def lives(self) -> int:
        """How often it was started."""
        return len(self._lives)

    @property
    def is_running(self) -> bool:
        """Whether a life runs."""
        return bool(self._lives) and self._lives[-1].process.poll() is None

    @property
    def lines(self) -> int:
        """Lines that the lives have printed."""
        return sum(life.lines for life in self._lives)

    def start(self) -> None:
        """Begin, or go on where the life was that a fault has killed.

        Raises:
            GaplessError: the last life has ended by itself, which none is to do.

        """
        if self._lives:
            self._check(self._lives[-1])
        number = len(self._lives)
        resume = "--resume" if self._lives else "--no-resume"
        arguments = [
            *(self._url, "--since", self._since, resume, "--output", "json"),
            *("--order", "arrival", "--record", str(self._record)),
            *("--in-memory", str(LINES_MAX)),
        ]
        self._lives.append(
            _Life(
                arguments,
                self._folder / f"life-{number}.ndjson",
                self._folder / f"life-{number}.stderr",
                self._folder / "state",
            )
        )

    def _check(self, life: _Life) -> None:
        life.end()
        code = life.process.returncode
        # A life may begin while there is nothing to connect to; whoever started it tries again.
        if code not in (-signal.SIGKILL, EXIT_CANNOT_CONNECT):
            msg = f"the viewer ended by itself with status {code}: {life.last_error()}"
            raise GaplessError(msg)

    def record(self, stop: threading.Event) -> bytes | None:
        """What all lives have shown by now, as one record; None if there is none to ask.

        Raises:
            GaplessError: it does not answer.

        """
        self._record.unlink(missing_ok=True)
        deadline = time.monotonic() + RECORD_WITHIN_S
        ask_at = 0.0
        while not stop.is_set():
            if not self.is_running:
                return None
            if time.monotonic() >= ask_at:
                ask_at = time.monotonic() + _ASK_AGAIN_S
                self._lives[-1].process.send_signal(signal.SIGUSR1)
            with contextlib.suppress(FileNotFoundError):
                return joined(self._record.read_bytes(), self._earlier())
            if time.monotonic() > deadline:
                msg = f"the viewer wrote no record within {RECORD_WITHIN_S:.0f} s"
                raise GaplessError(msg)
            stop.wait(_LOOK_S)
        return None

    def _earlier(self) -> list[bytes]:
        return [life.output.read_bytes() for life in self._lives[:-1]]

    def __enter__(self) -> Self:
        """Until the end of the ``with`` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        for life in self._lives:
            life.end()


_PROC: Final = Path("/proc")
_STAT_TIMES: Final = slice(11, 13)
"""utime and stime in ``/proc/PID/stat``, counted from behind the name (proc(5))."""


class Usage(msgspec.Struct, frozen=True):
    """Processor seconds, and the most memory that was resident at once, in bytes."""

    cpu_s: float
    peak_bytes: int


class Meter:
    """Adds up what the lives of one program use; each is read for as long as it runs."""

    def __init__(self) -> None:
        """Nothing was used."""
        self._by_pid: dict[int, Usage] = {}

    def read(self, pid: int | None) -> None:
        """Read what a process has used by now; one that is gone is as it was read last."""
        usage = None if pid is None else usage_of(pid)
        if pid is not None and usage is not None:
            self._by_pid[pid] = usage

    @property
    def lives(self) -> int:
        """Processes that were read."""
        return len(self._by_pid)

    @property
    def total(self) -> Usage:
        """Time of all lives, and the most memory of any."""
        every = self._by_pid.values()
        cpu_s = round(sum(one.cpu_s for one in every), 2)
        return Usage(cpu_s, max((one.peak_bytes for one in every), default=0))


def usage_of(pid: int, proc: Path = _PROC) -> Usage | None:
    """What a process has used by now; None if it is gone, or the system has no ``/proc``."""
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        status = (proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
        user, system = map(int, stat.rpartition(")")[2].split()[_STAT_TIMES])
        (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    except (OSError, ValueError):
        return None
    return Usage((user + system) / os.sysconf("SC_CLK_TCK"), int(peak) << 10)
