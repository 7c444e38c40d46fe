"""Counts the source files that one event passes from FilterLogEvents to a drawn row.

A raw moto server, ``gapless forward`` and the screen of ``gapless tail`` run as processes, the
last two under ``recorder.py``. Once the screen is connected and verified, one event is written;
its window lasts until its text is on the terminal and a mark covers it. This is repeated, and a
file counts if functions of it run in the window of every event. So polls, marks and timers that run
all the time count, and timers that run now and then do not. A last window without an event, of
equal length, tells which functions an event causes.
"""

from __future__ import annotations

import json
import signal
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Final

from tests.house.sources import PRODUCT
from tests.support.processes.gapless_processes import forwarder, read_record, wait_until
from tests.support.processes.moto_server import RawMoto, raw_moto
from tests.support.pseudo_terminal import TerminalProcess

GROUP: Final = "/jobs/house"
STREAM: Final = "job/main/aaaa"

EVENTS: Final = ("passes-alpha", "passes-bravo", "passes-charlie")
"""Texts of the events; without digits or spaces, so that no styling divides them on screen."""

WINDOW_S: Final = 3.0
"""Between two looks at what is verified; longer than a poll and its mark take."""

_RECORDER: Final = Path(__file__).with_name("recorder.py")


@dataclass(frozen=True, slots=True)
class Trace:
    """Functions, as ``file:function``, that ran in each event's window and in one without event."""

    events: tuple[frozenset[str], ...]
    idle: frozenset[str]

    @property
    def passed(self) -> frozenset[str]:
        """Files that ran for every event: what is counted."""
        return frozenset.intersection(*map(files_of, self.events))

    @property
    def sometimes(self) -> frozenset[str]:
        """Files that ran for some of the events only: slow timers, most of them."""
        return files_of(frozenset.union(*self.events)) - self.passed

    @property
    def regular(self) -> frozenset[str]:
        """Functions that ran for every event."""
        return frozenset.intersection(*self.events)

    @property
    def caused(self) -> frozenset[str]:
        """Files in which functions ran for every event and never without one."""
        return files_of(self.regular - self.idle)


def files_of(functions: frozenset[str]) -> frozenset[str]:
    """The files of functions."""
    return frozenset(one.partition(":")[0] for one in functions)


def report(trace: Trace, *, verbose: bool) -> str:
    """The figures for a person, with ``verbose`` the files and their functions, too."""
    counts = {
        name: (
            _count(trace.passed, name),
            _count(trace.caused, name),
            _count(trace.sometimes, name),
        )
        for name in PRODUCT
    }
    totals = (len(trace.passed), len(trace.caused), len(trace.sometimes))
    rows = [
        ("", "every event", "of these, caused by it", "some events"),
        *((name, *map(str, found)) for name, found in counts.items() if any(found)),
        ("all", *map(str, totals)),
    ]
    lines = ["files that one event passes:"]
    lines += [f"{row[0]:<10} {row[1]:>11}  {row[2]:>22}  {row[3]:>11}" for row in rows]
    if verbose:
        lines += ["", "* runs for an event only; the others also run in a window without one"]
        lines += [line for file in sorted(trace.passed) for line in _functions(trace, file)]
        lines += ["", "for some events only:", *sorted(trace.sometimes)]
    return "\n".join(lines)


def _count(files: frozenset[str], package: str) -> int:
    return sum(one.startswith(f"{package}/") for one in files)


def _functions(trace: Trace, file: str) -> list[str]:
    found = sorted(one for one in trace.regular if one.startswith(f"{file}:"))
    names = [f"{'*' if one not in trace.idle else ''}{one.partition(':')[2]}" for one in found]
    return [f"{'*' if file in trace.caused else ' '} {file}: {', '.join(names)}"]


class _Recorded:
    """A program under the recorder: how to start it, and how to read its reports."""

    def __init__(self, tree: Path, reports: Path) -> None:
        reports.mkdir()
        self.program = ("-P", str(_RECORDER), str(reports), str(tree), ",".join(PRODUCT))
        self.process: Popen[bytes] | None = None
        self._reports = reports
        self._count = 0

    def cut(self) -> frozenset[str]:
        """Functions since the last cut."""
        assert self.process is not None
        self._count += 1
        path = self._reports / f"{self._count}.json"
        self.process.send_signal(signal.SIGUSR2)
        wait_until(path.exists, f"the report of {self.program[2]}")
        return frozenset(json.loads(path.read_text(encoding="utf-8")))


class _Screen:
    """What the viewer says to have verified, asked for by SIGUSR1."""

    def __init__(self, process: Popen[bytes], record: Path) -> None:
        self._process = process
        self._record = record

    def is_verified(self, through: int) -> bool:
        """Whether a verified mark covers a time in ms."""
        before = self._version()
        self._process.send_signal(signal.SIGUSR1)
        wait_until(lambda: self._version() != before, "the viewer's record")
        status = [one for one in read_record(self._record) if one["type"] == "status"]
        return bool(status) and (status[-1].get("complete_through") or 0) >= through

    def _version(self) -> tuple[int, int] | None:
        if not self._record.exists():
            return None
        found = self._record.stat()
        return found.st_ino, found.st_mtime_ns


def trace_event(tree: Path) -> Trace:
    """Run the programs of a tree and record one event after the other."""
    with tempfile.TemporaryDirectory() as folder, raw_moto() as moto:
        state = Path(folder)
        serving, viewing = (_Recorded(tree, state / name) for name in ("serving", "viewing"))
        record = state / "record.ndjson"
        options = ("--live", "poll", "--allowance", "2s")
        moto.create(GROUP, STREAM)
        first = _put(moto, "before-the-trace")
        with forwarder(GROUP, moto.url, state, *options, program=serving.program) as process:
            serving.process = process.popen
            arguments = ("tail", process.ready()["websocket"], "--record", str(record))
            with TerminalProcess(*arguments, state=state, program=viewing.program) as terminal:
                viewing.process = terminal.popen
                terminal.wait_for("before-the-trace")
                screen = _Screen(terminal.popen, record)
                wait_until(lambda: screen.is_verified(first), "the first verified mark")
                programs = (serving, viewing)
                windows = [_watch(moto, text, terminal, screen, programs) for text in EVENTS]
                longest = max(seconds for _, seconds in windows)
                _cut(programs)
                threading.Event().wait(longest)
                idle = _cut(programs)
    return Trace(tuple(found for found, _ in windows), idle)


def _watch(
    moto: RawMoto,
    text: str,
    terminal: TerminalProcess,
    screen: _Screen,
    programs: tuple[_Recorded, ...],
) -> tuple[frozenset[str], float]:
    """Write one event; the functions of its window, and how many seconds that was open."""
    _cut(programs)
    opened = time.monotonic()
    stamp = _put(moto, text)
    terminal.wait_for(text)
    threading.Event().wait(WINDOW_S)
    found = _cut(programs)
    seconds = time.monotonic() - opened
    # What answers the question is no part of the event's way, so the record is cut around it.
    while not screen.is_verified(stamp):
        _cut(programs)
        threading.Event().wait(WINDOW_S)
        found |= _cut(programs)
        seconds += WINDOW_S
    return found, seconds


def _cut(programs: tuple[_Recorded, ...]) -> frozenset[str]:
    return frozenset().union(*(one.cut() for one in programs))


def _put(moto: RawMoto, text: str) -> int:
    stamp = time.time_ns() // 1_000_000
    moto.put(GROUP, STREAM, [(stamp, text)])
    return stamp
