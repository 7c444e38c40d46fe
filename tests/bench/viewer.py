"""The viewer beside other viewers, in one run: ``python -m tests.bench viewer``.

Beside Textual's own ``Log`` and ``RichLog`` in this process, and lnav and less in a terminal of
their own, as far as they are installed. CPU time where a step is ours alone, wall time where
others draw. It reports; nothing depends on the figures.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import multiprocessing
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import psutil
from textual.app import App, ComposeResult
from textual.widgets import Log, RichLog

from tests.bench import stream
from tests.support.fake_engine import busy_lines
from tests.support.parts import clean_environment
from tui.filters import Filters
from tui.holdings import Holdings
from tui.timeline import Timeline
from tui.view import View
from wire.messages import Item

LINES: Final = 1_000_000
BATCH: Final = 5_000
STARTS: Final = 5
RICH_LINES: Final = 20_000
"""RichLog renders on write: a million lines would take four minutes."""

_NEEDLES: Final = (
    ("frame 77", False),
    ("frame 7[0-9]+ failed", False),
    ("frame 77", True),
    ("request=", False),
)
"""What is looked for, and whether lines that have it are left out; all have the last."""

Say = Callable[[str], None]


def measure(say: Say) -> None:
    """Everything, each part that is greedy for memory in a process of its own."""
    say("time to the first bytes and to the first line on screen (wall)")
    for line in _starts():
        say(f"  {line}")
    for part in (_ours, _log, _rich_log):
        say(part.__doc__ or "")
        for line in _apart(part):
            say(f"  {line}")
    say("key to screen while lines stream in")
    for rate in (10_000, 100_000):
        say(f"  {stream.measure(rate)}")


def _apart(work: Callable[[], list[str]]) -> list[str]:
    """What a function returns that had a process to itself."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work)


def _items(count: int) -> Iterator[list[Item]]:
    """Events as a forwarder sends them: ids of 56 digits, 130 characters."""
    chance = random.Random(1)
    kinds = [one.message for one in busy_lines(2_000)]
    for first in range(0, count, BATCH):
        batch = []
        for number in range(first, first + BATCH):
            at = 1_700_000_000_000 + number * 7
            name = f"{(at << 144) + chance.getrandbits(120):056d}"
            text = f"{kinds[number % 2_000]} request={chance.getrandbits(96):024x} n={number}"
            stream = f"job/main/{number % 40:04d}"
            batch.append(Item(number + 1, name, at, at + 350, stream, text, "live"))
        yield batch


def _rss_mb() -> float:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return float(psutil.Process().memory_info().rss) / 1e6


def _ours() -> list[str]:
    """gapless: a million lines taken in, proved, filtered (CPU)."""
    before, held, timeline = _rss_mb(), Holdings(), Timeline(2 * LINES)
    proving = placing = 0.0
    for batch in _items(LINES):
        began = time.process_time()
        stored, _ = held.store(batch, live=True)
        middle = time.process_time()
        timeline.add_many(stored.lines)
        placing += time.process_time() - middle
        proving += middle - began
    hot = _rss_mb() - before
    report = [
        f"digest, key, tally   {LINES / proving:>12,.0f} lines/s",
        f"timeline, in order   {LINES / placing:>12,.0f} lines/s",
        f"memory hot           {hot:>12.0f} MB a million lines",
    ]
    late = list(timeline.iterate())[::5]
    random.Random(2).shuffle(late)
    other = Timeline(2 * LINES)
    other.add_many(late[: len(late) // 2])
    began = time.process_time()
    for first in range(len(late) // 2, len(late), 500):
        other.add_many(late[first : first + 500])
    rate = len(late) / 2 / (time.process_time() - began)
    report.append(f"timeline, all late   {rate:>12,.0f} lines/s, scattered")
    report += [_filtered(timeline, *one, "hot") for one in _NEEDLES]
    del other, late
    while timeline.tidy():
        pass
    report.append(f"memory cold          {_rss_mb() - before:>12.0f} MB a million lines")
    return report + [_filtered(timeline, *one, "cold") for one in _NEEDLES]


def _filtered(timeline: Timeline, needle: str, excludes: bool, what: str) -> str:  # noqa: FBT001 - of a table
    filters, view = Filters(), View(timeline)
    filters.add(needle, excludes=excludes)
    began = time.process_time()
    view.select(filters.test())
    first = time.process_time() - began
    while view.sieve is not None and view.sieve.step():
        pass
    took = time.process_time() - began
    return (
        f"{'exclude' if excludes else 'filter':7} {needle!r:24} {what:4}"
        f" first screen {first * 1e3:.1f} ms, all {took * 1e3:.0f} ms ({view.lines:,} lines)"
    )


class _Peer(App[None]):
    """An application that is nothing but one of Textual's logs."""

    def __init__(self, widget: Log | RichLog) -> None:
        super().__init__()
        self.widget = widget

    def compose(self) -> ComposeResult:
        yield self.widget


def _log() -> list[str]:
    """Textual's Log: append only (CPU)."""
    return asyncio.run(_peer(Log(), LINES))


def _rich_log() -> list[str]:
    """Textual's RichLog (CPU)."""
    return asyncio.run(_peer(RichLog(), RICH_LINES))


async def _peer(widget: Log | RichLog, count: int) -> list[str]:
    texts = [one.message for one in busy_lines(2_000)]
    async with _Peer(widget).run_test(size=(120, 40)) as pilot:
        before, began = _rss_mb(), time.process_time()
        for first in range(0, count, BATCH):
            part = [f"{texts[n % 2_000]} {n}" for n in range(first, min(count, first + BATCH))]
            if isinstance(widget, Log):
                widget.write_lines(part)
            else:
                for text in part:
                    widget.write(text)
        rate = count / (time.process_time() - began)
        await pilot.pause()
        memory = (_rss_mb() - before) / count * 1e6
        frames = []
        for at in range(200):
            began = time.process_time()
            widget.scroll_to(y=at * count // 250, animate=False, immediate=True)
            await pilot.pause()
            frames.append(time.process_time() - began)
        frames.sort()
        return [
            f"append               {rate:>12,.0f} lines/s ({count:,} lines)",
            f"memory               {memory:>12.0f} MB a million lines",
            f"jump to screen       p50 {frames[100] * 1e3:.1f} ms, p99 {frames[198] * 1e3:.1f} ms",
        ]


_CLOCKED: Final = r"""
import fcntl, os, pty, re, struct, sys, termios, time
began = time.perf_counter()
pid, fd = pty.fork()
if not pid:
    os.environ["TERM"] = "xterm-256color"
    os.execv(sys.argv[2], sys.argv[2:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
seen = b""
for needle in sys.argv[1].split("|"):
    while needle.encode() not in seen and time.perf_counter() - began < 20:
        seen += re.sub(rb"\x1b\[[0-9;]*m", b"", os.read(fd, 65536))
    print(time.perf_counter() - began)
os.kill(pid, 9)
"""
"""Runs a program in a terminal; prints when each text has come, one after the other."""


def _starts() -> Iterator[str]:
    """Each program on 2,000 lines, five times; the least of the times."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.log"
        path.write_text("".join(f"line {number} of many\n" for number in range(2_000)))
        gapless = [sys.executable, "-m", "gapless", "tail", "ws://127.0.0.1:9/v1/tail"]
        first, live = _clocked("\x1b[?1049h|\x1b[?1006h|q quit", gapless, Path(folder))[::2]
        yield f"gapless tail ws://…: first picture {first:.0f} ms, screen {live:.0f} ms"
        for name in ("less", "lnav"):
            found = shutil.which(name)
            if found is None:
                yield f"{name}: not installed"
                continue
            (took,) = _clocked("of many", [found, str(path)], Path(folder))
            yield f"{name}: first line on screen {took:.0f} ms"
        if shutil.which("tl") is None:
            yield "toolong: not installed"


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
        runs.append([float(line) * 1e3 for line in done.stdout.split()])
    return [min(times) for times in zip(*runs, strict=True)]
