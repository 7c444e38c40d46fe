"""Compares the viewer with other viewers: ``python -m tests.bench viewer``.

The others are Textual's ``Log`` and ``RichLog`` in this process, and toolong, lnav and less in
terminals if they are installed. Figures are CPU time, or wall time where other programs draw.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from typing import Final

import psutil
from textual.app import App, ComposeResult
from textual.widgets import Log, RichLog

from tests.bench import goals, starts, stream
from tests.bench.goals import figure
from tests.support.fake_engine import busy_lines
from tui.client.holdings import Holdings
from tui.lines.expressions import parse_expression
from tui.lines.filters import Filters
from tui.lines.matching import test_of
from tui.lines.timeline import Timeline
from tui.lines.view import BlockTest, MatchingRows, View, find_in_timeline
from wire.messages import Item

LINES: Final = 1_000_000
BATCH: Final = 5_000
RICH_LINES: Final = 20_000
"""RichLog renders on write: a million lines would take four minutes."""

_NEEDLES: Final = (
    ("frame 77", False),
    ("/frame 7[0-9]+ failed/", False),
    ("frame 77", True),
    ("request=", False),
)
"""(text, whether to exclude matches); every line contains the last text."""

_FIELDS: Final = (
    "ms>800",
    "status!=200",
    "path=/healthz",
    "age<9",
    "n=7",
    "level>=error",
    "ms>800 POST",
)
"""Expressions with fields: of a third of the lines, of all of them, of none, and of plain lines."""

_NOWHERE: Final = "not in any line"

Say = Callable[[str], None]


def measure(say: Say) -> None:
    """Run all parts; those that need much memory run in their own processes."""
    say("startup: from the command to the screen (wall)")
    for line in starts.measure():
        say(f"  {line}")
    for part in (_ours, _log, _rich_log):
        say(part.__doc__ or "")
        for line in _apart(part):
            say(f"  {line}")
    say("key to screen while lines stream in")
    for rate in (10_000, 100_000):
        say(f"  {stream.measure(rate)}")


def _apart(work: Callable[[], list[str]]) -> list[str]:
    """Run a function in a new process; returns its result."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work)


def _items(count: int) -> Iterator[list[Item]]:
    """Events like a forwarder's: ids of 56 digits, about 130 characters."""
    chance = random.Random(1)
    kinds = [one.message for one in busy_lines(2_000)]
    for first in range(0, count, BATCH):
        batch = []
        for number in range(first, first + BATCH):
            at = 1_700_000_000_000 + number * 7
            name = f"{(at << 144) + chance.getrandbits(120):056d}"
            kind, request = kinds[number % 2_000], f"{chance.getrandbits(96):024x}"
            text = f"{kind} request={request} n={number}"
            if kind.startswith("{"):
                text = f'{kind[:-1]},"trace":"request={request}","n":{number}}}'
            stream = f"job/main/{number % 40:04d}"
            batch.append(Item(number + 1, name, at, at + 350, stream, text, "live"))
        yield batch


def _rss_mb() -> float:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return float(psutil.Process().memory_info().rss) / 1e6


def _ours() -> list[str]:
    """gapless: a million lines received, verified, filtered (CPU)."""
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
    in_order = LINES / placing
    report = [
        figure("digest, key, tally", f"{LINES / proving:,.0f} lines/s"),
        figure("timeline, in order", f"{in_order:,.0f} lines/s", goals.IN_ORDER.judged(in_order)),
        _late(timeline),
        figure("memory per million lines, hot", f"{hot:.0f} MB", goals.HOT.judged(hot)),
    ]
    report += [*_looked_for(timeline, "hot")]
    while timeline.tidy():
        pass
    cold = _rss_mb() - before
    report.append(
        figure("memory per million lines, cold", f"{cold:.0f} MB", goals.COLD.judged(cold))
    )
    return [*report, *_looked_for(timeline, "cold")]


def _late(timeline: Timeline) -> str:
    """Measure late lines: a fifth of the lines, scattered over a full timeline."""
    late = list(timeline.iterate())[::5]
    random.Random(2).shuffle(late)
    other = Timeline(2 * LINES)
    other.add_many(late[: len(late) // 2])
    began = time.process_time()
    for first in range(len(late) // 2, len(late), 500):
        other.add_many(late[first : first + 500])
    rate = len(late) / 2 / (time.process_time() - began)
    return figure("timeline, all late", f"{rate:,.0f} lines/s", goals.ALL_LATE.judged(rate))


def _looked_for(timeline: Timeline, what: str) -> Iterator[str]:
    for needle, excludes in _NEEDLES:
        yield _filtered(timeline, needle, what, excludes=excludes)
    for expression in _FIELDS:
        yield _filtered(timeline, expression, what, excludes=False)
    for needle in dict.fromkeys(needle for needle, _ in _NEEDLES):
        yield _counted(timeline, needle, what)
    for direction in (-1, 1):
        yield _hunted(timeline, direction, what)


def _filtered(timeline: Timeline, needle: str, what: str, *, excludes: bool) -> str:
    filters, view = Filters(), View(timeline)
    filters.add(needle, excludes=excludes)
    began = time.process_time()
    view.show_passing(filters.test())
    first = (time.process_time() - began) * 1e3
    while view.matching is not None and view.matching.step():
        pass
    took = (time.process_time() - began) * 1e3
    return figure(
        f"{what} {'exclude' if excludes else 'filter'} {needle!r}",
        f"first {first:.1f} ms, all {took:.0f} ms ({view.lines:,})",
        goals.FILTER_FIRST.judged(first),
        (goals.FIELDS_ALL if needle in _FIELDS else goals.FILTER_ALL).judged(took),
    )


def _test(text: str) -> BlockTest:
    return test_of(parse_expression(text), lambda _target: "")


def _counted(timeline: Timeline, needle: str, what: str) -> str:
    """Measure ``/``: find all matches."""
    began = time.process_time()
    found = MatchingRows(timeline, _test(needle), rules=False)
    while found.step():
        pass
    took = (time.process_time() - began) * 1e3
    said = f"all {took:.0f} ms ({len(found.keys):,})"
    return figure(f"{what} search {needle!r}", said, goals.FILTER_ALL.judged(took))


def _hunted(timeline: Timeline, direction: int, what: str) -> str:
    """Measure ``n`` and ``N`` when the only match is at the other end."""
    test = _test(_NOWHERE)
    at: int | None = 0 if direction > 0 else timeline.row(len(timeline) - 1).key + 1
    began = time.process_time()
    while at is not None:
        at = find_in_timeline(timeline, at, direction, test)[1]
    took = (time.process_time() - began) * 1e3
    name = f"{what} {'next' if direction > 0 else 'previous'} match, a million lines away"
    return figure(name, f"{took:.0f} ms", goals.FILTER_ALL.judged(took))


class _Peer(App[None]):
    """An application with only one of Textual's log widgets."""

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
            figure("append", f"{rate:,.0f} lines/s ({count:,} lines)"),
            figure("memory per million lines", f"{memory:.0f} MB"),
            figure(
                "jump to screen",
                f"p50 {frames[100] * 1e3:.1f} ms, p99 {frames[198] * 1e3:.1f} ms",
            ),
        ]
