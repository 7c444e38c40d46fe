"""How long after the command something is on the screen: gapless, less and lnav in a terminal each.

gapless reads from a forwarder that runs already; the others from a file. Wall time, the least of
some runs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.bench.lag import standin
from tests.bench.standin import GROUP
from tests.support.parts import clean_environment, forwarder

STARTS: Final = 7
LINES: Final = 2_000
WRITING_S: Final = 2

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
while None in came.values() and time.perf_counter() - began < 20:
    seen += re.sub(rb"\x1b\[[0-9;]*m", b"", os.read(fd, 65536))
    for needle in needles:
        if came[needle] is None and needle.encode() in seen:
            came[needle] = time.perf_counter() - began
print(*(came[needle] or float("nan") for needle in needles))
os.kill(pid, 9)
"""
"""Runs a program in a terminal; prints when each text has come."""


def measure() -> Iterator[str]:
    """A line about each program."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield _gapless(folder)
        path = folder / "lines.log"
        path.write_text("".join(f"line {number} of many\n" for number in range(LINES)))
        for program in ("less", "lnav"):
            found = shutil.which(program)
            if found is None:
                yield f"{program}: not installed"
                continue
            (took,) = _clocked("of many", [found, str(path)], folder)
            yield f"{program}: first line on screen {took:.0f} ms"
        yield "toolong: left out, it needs an older Textual than ours"


def _gapless(folder: Path) -> str:
    with standin(LINES // WRITING_S, WRITING_S) as (writer, url):
        assert writer.stdin is not None
        with forwarder(GROUP, url, folder) as part:
            port = int(part.ready()["http"].rpartition(":")[2])
            writer.stdin.write(b"go\n")
            writer.stdin.flush()
            time.sleep(WRITING_S + 2)  # all is written, and has been polled
            command = [sys.executable, "-m", "gapless", "tail", f"ws://127.0.0.1:{port}/v1/tail"]
            needles = "\x1b[?1049h|request finished|Space freeze"
            first, lines, keys = _clocked(needles, command, folder)
    return (
        f"gapless tail ws://…: first picture {first:.0f} ms, first lines {lines:.0f} ms,"
        f" colours and keys {keys:.0f} ms"
    )


def _clocked(needles: str, command: list[str], state: Path) -> list[float]:
    """Milliseconds until each text has come: the best of some runs."""
    runs = []
    for _ in range(STARTS):
        done = subprocess.run(
            [sys.executable, "-c", _CLOCKED, needles, *command],
            env=clean_environment(state),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        runs.append([float(took) * 1e3 for took in done.stdout.split()])
    return [min(times) for times in zip(*runs, strict=True)]
