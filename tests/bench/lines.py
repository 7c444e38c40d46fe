"""Time for one long line of each kind of character: as text output, on screen, and saved.

And the longest interval between two messages of a forwarder that matches such lines.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from websockets.asyncio.client import connect

from forwarder.ingest.executions import Lifecycle
from tests.bench.goals import Goal
from tests.support.fake_engine import make_line
from tests.support.forwarder.feed_server import serve_feed
from tui.client.target import LineSource
from tui.lines.levels import level_of
from tui.lines.rows import Line
from tui.output.formats import OutputStyle, format_line
from tui.output.ordering import PrintedLine
from tui.render.line_format import ColumnLayout
from tui.render.palette import Palette, ThemeTones
from tui.render.strips import Appearance, StripCache
from tui.screen.save import writer_of
from wire.codec import decode_server
from wire.messages import Events

SIZES = (64 << 10, 256 << 10, 1 << 20)
REPEATS = 5
MEGABYTE = Goal(500, "ms")
RATIO = Goal(5, "times the time of 256 kB")

HEARTBEAT_MS = 100
HEARTBEATS = Goal(500, "ms")
HOSTILE_LINES = 100
HOSTILE = {"(a+)+b": "a", "error.*timeout": "error "}

UNITS = {
    "tabs": "\t",
    "control characters": "\x01",
    "C1 controls": "\x9b",
    "plain and control": "a\x01",
    "combining marks": "e\u0301",
    "stacks of marks": "e" + "\u0301" * 9,
    "ANSI colours": "\x1b[31mx\x1b[0m",
    "ANSI without an end": "\x1b[1;",
    "wide text": "漢",
    "wide text and tabs": "漢\t",
    "newlines": "\n",
}


def measure() -> Iterator[str]:
    """A line of the report for each kind and place."""
    for rule, unit in HOSTILE.items():
        longest_ms = asyncio.run(_longest_interval_ms(rule, unit))
        yield (
            f"longest heartbeat interval while {HOSTILE_LINES} lines of 1 MB are matched with "
            f"{rule}: {longest_ms:.0f} ms, {HEARTBEATS.judged(longest_ms)}"
        )
    with TemporaryDirectory() as folder:
        for place, handle in _places(Path(folder)).items():
            yield f"{place}: {', '.join(f'{size >> 10} kB' for size in SIZES)}"
            for kind, unit in UNITS.items():
                yield "  " + _report(kind, [_best_ms(handle, unit, size) for size in SIZES])


async def _longest_interval_ms(rule: str, unit: str) -> float:
    """Tail hostile lines over a real socket; returns the longest wait for the next message."""
    message = (unit * (1 << 20))[: 1 << 20]
    longest_s = received = 0.0
    async with (
        serve_feed(Lifecycle.pattern(rule), HEARTBEAT_MS) as served,
        connect(f"{served.url}?since=0", max_size=8 << 20, proxy=None) as viewer,
    ):
        await viewer.recv()
        served.put(*([message] * HOSTILE_LINES))
        last = time.perf_counter()
        while received < HOSTILE_LINES:
            answer = decode_server(await viewer.recv())
            now = time.perf_counter()
            longest_s, last = max(longest_s, now - last), now
            received += len(answer.items) if isinstance(answer, Events) else 0
    return longest_s * 1e3


def _report(kind: str, taken_ms: list[float]) -> str:
    *_, middle, last = taken_ms
    times = " ".join(f"{taken:>8.2f}" for taken in taken_ms)
    aims = [MEGABYTE.judged(last)]
    if last > 1:  # below that, the ratio is that of two clock readings
        aims.append(RATIO.judged(last / middle))
    return f"{kind:<22}{times} ms, ratio {last / middle:>5.2f}   {', '.join(aims)}"


def _best_ms(handle: Callable[[Line], object], unit: str, size: int) -> float:
    taken = []
    for number in range(REPEATS):
        line = make_line(number, unit * (size // len(unit.encode())))
        began = time.process_time()  # regardless of other load
        handle(line)
        taken.append(time.process_time() - began)
    return min(taken) * 1e3


def _places(folder: Path) -> dict[str, Callable[[Line], object]]:
    return {
        "text output": _print_text,
        "on screen, cut off": lambda line: _draw(line, wrapped=False),
        "on screen, wrapped": lambda line: _draw(line, wrapped=True),
        "saved as text": lambda line: _save(line, folder / "saved.txt"),
        "saved as NDJSON": lambda line: _save(line, folder / "saved.ndjson"),
    }


def _print_text(line: Line) -> bytes:
    style = OutputStyle(color=True)
    return format_line(PrintedLine(line, is_late=False), style, LineSource("", None))


def _draw(line: Line, *, wrapped: bool) -> None:
    cache = StripCache(
        Palette(ThemeTones.of({}, dark=True)),
        lambda one: level_of(one.message),
        lambda _line: True,
        ColumnLayout(),
    )
    cache.set_appearance(Appearance(width=120, wrapped=wrapped))
    console = Console(force_terminal=True, color_system="truecolor")
    for strip in cache.strips(line, None):
        strip.render(console)


def _save(line: Line, path: Path) -> None:
    with path.open("wb") as file:
        file.write(writer_of(path.name, [None])(line))
