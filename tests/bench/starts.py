"""Startup times of gapless and other viewers, each in its own terminal.

gapless reads from a running forwarder; the others read a file of a million lines, in which some
then search. Wall time, the minimum of several runs. Programs that are not installed are skipped
with a message; ``BENCH_TOOLONG`` is the path of toolong's ``tl``, which needs an older Textual.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.bench import goals
from tests.bench.goals import figure
from tests.bench.lag import standin
from tests.bench.standin import GROUP
from tests.support.processes.gapless_processes import clean_environment, forwarder

STARTS: Final = 5
SENT: Final = 2_000
WRITING_S: Final = 2
FILE_LINES: Final = 1_000_000
LAST: Final = "the very last one"

_CLOCKED: Final = r"""
import fcntl, os, pty, re, struct, sys, termios, time
began = time.perf_counter()
pid, fd = pty.fork()
if not pid:
    os.environ["TERM"] = "xterm-256color"
    os.execv(sys.argv[2], sys.argv[2:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
seen, needles = b"", sys.argv[1].split("|")
came = dict.fromkeys(needles)
while None in came.values() and time.perf_counter() - began < 30:
    try:
        seen += re.sub(rb"\x1b\[[0-9;]*m", b"", os.read(fd, 65536))
    except OSError:
        break
    for needle in needles:
        if came[needle] is None and needle.encode() in seen:
            came[needle] = time.perf_counter() - began
print(*(came[needle] or float("nan") for needle in needles))
os.kill(pid, 9)
"""
"""Script that runs a program in a terminal and prints when each text appears."""


def measure() -> Iterator[str]:
    """Yield one line per figure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for one in ("home", "xdg_config_home", "xdg_state_home"):
            (folder / one).mkdir()  # without them lnav writes into the working directory
        yield from _gapless(folder)
        path = folder / "lines.log"
        with path.open("w") as file:
            for number in range(FILE_LINES - 1):
                file.write(f"12:00:00 INFO line {number} of many, request={number * 7919:024x}\n")
            file.write(f"12:00:00 INFO {LAST}\n")
        for program, arguments, what, needle in (
            ("less", [], "first lines of a million", "of many"),
            ("less", ["-p", LAST], "search for the last of a million", LAST),
            ("lnav", [], "lines of a million on screen", "of many"),
            ("tl", [], "lines of a million on screen", "of many"),
        ):
            yield _peer(program, [*arguments, str(path)], what, needle, folder)


def _gapless(folder: Path) -> Iterator[str]:
    with standin(SENT // WRITING_S, WRITING_S) as (writer, url):
        assert writer.stdin is not None
        with forwarder(GROUP, url, folder) as process:
            port = int(process.ready()["http"].rpartition(":")[2])
            writer.stdin.write(b"go\n")
            writer.stdin.flush()
            time.sleep(WRITING_S + 2)  # all events are written and polled
            command = [sys.executable, "-m", "gapless", "tail", f"ws://127.0.0.1:{port}/v1/tail"]
            needles = "\x1b[?1049h|Space freeze|request finished"
            picture, frame, lines = _clocked(needles, command, folder)
    yield figure("gapless tail: picture", f"{picture:.0f} ms", goals.FIRST_PICTURE.judged(picture))
    yield figure("gapless tail: first frame", f"{frame:.0f} ms", goals.FIRST_FRAME.judged(frame))
    yield figure("gapless tail: first lines in it", f"{lines:.0f} ms")


def _peer(program: str, arguments: list[str], what: str, needle: str, folder: Path) -> str:
    found = shutil.which(os.environ.get("BENCH_TOOLONG", program) if program == "tl" else program)
    name = {"tl": "toolong"}.get(program, program)
    if found is None:
        return f"{name}: not installed"
    (took,) = _clocked(needle, [found, *arguments], folder)
    return figure(f"{name}: {what}", f"{took:.0f} ms")


def _clocked(needles: str, command: list[str], state: Path) -> list[float]:
    """Milliseconds until each text appears: the minimum of several runs."""
    runs = []
    for _ in range(STARTS):
        done = subprocess.run(
            [sys.executable, "-c", _CLOCKED, needles, *command],
            env=clean_environment(state),
            cwd=state,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        runs.append([float(took) * 1e3 for took in done.stdout.split()])
    return [min(times) for times in zip(*runs, strict=True)]
