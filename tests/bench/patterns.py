"""CPU time to group a million lines by pattern, alone and with keys, and key latency meanwhile.

Each run fills a timeline with lines of one kind, opens the patterns panel of the whole application
on the terminal of Textual's test driver, and moves the log's cursor until all lines are counted.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from typing import Final

from tests.bench import goals
from tests.bench.frame import draw
from tests.bench.goals import figure
from tests.support.fake_engine import FakeEngine, busy_lines, make_line
from tests.support.log_formats import FORMATS, lines_of
from tests.support.screen import running
from tui.lines.counts import PatternCounter
from tui.screen import terminal

LINES: Final = 1_000_000
BATCH: Final = 10_000
DIFFERENT: Final = 50_000
"""Different lines, which are repeated: making a million takes longer than counting them."""

_PAUSE_S: Final = 0.02
"""Mean time between two keys."""


def report(lines: int = LINES) -> Iterator[str]:
    """A line of the report for each kind of lines."""
    kinds = {
        "all formats": list(lines_of(DIFFERENT)),
        "pino (JSON)": list(lines_of(DIFFERENT, "pino")),
        "the demo's kinds": [line.message for line in busy_lines(2_000)],
    }
    assert len(FORMATS) > 1, "all formats are several"
    for name, texts in kinds.items():
        yield asyncio.run(_measure(name, texts, lines))
    texts = list(_random_words(DIFFERENT))
    yield asyncio.run(_measure("hostile: a tenth, random words", texts, lines // 10))


def _random_words(count: int) -> Iterator[str]:
    chance = random.Random(2)
    for _ in range(count):
        yield " ".join("".join(chance.choices("ghijklm", k=5)) for _ in range(12))


def _count(engine: FakeEngine) -> float:
    """CPU time to count all lines, in seconds."""
    began = time.process_time()
    counter = PatternCounter(engine.timeline)
    while counter.step():
        pass
    return time.process_time() - began


async def _measure(name: str, texts: Sequence[str], lines: int) -> str:
    engine = FakeEngine(capacity=lines + BATCH)
    for first in range(0, lines, BATCH):
        batch = range(first, min(lines, first + BATCH))
        engine.timeline.add_many(make_line(at, texts[at % len(texts)]) for at in batch)
    while engine.timeline.tidy():
        pass  # compress old lines, as happens after some minutes
    chance = random.Random(3)
    taken: list[float] = []
    async with running(engine, size=(120, 40)) as screen:
        terminal.calm_collector()
        app = screen.app
        alone = _count(engine)
        began = time.process_time()
        app.action_patterns()
        counter = app._patterns_panel._counter
        assert counter is not None, "the panel is open"
        while not counter.is_done:
            await asyncio.sleep(chance.uniform(0, 2 * _PAUSE_S))
            pressed = asyncio.get_running_loop().create_future()
            at = time.process_time()  # regardless of other load
            # Keys from the driver's thread also queue behind the loop's current work.
            asyncio.get_running_loop().call_soon(pressed.set_result, None)
            await pressed
            app.log_view.move(chance.choice(("up", "down", "page_up", "page_down")))
            draw(screen)
            taken.append(time.process_time() - at)
        took = time.process_time() - began
        counts = counter.counts
        assert counts.lines == lines, "each line is counted once"
    taken.sort()
    p95_ms = taken[len(taken) * 95 // 100] * 1e3
    said = (
        f"{alone:.1f} s, {took:.1f} s with keys, {len(counts.tree)} patterns, "
        f"{counts.others:,} others; "
        f"key p95 {p95_ms:.1f} ms ({len(taken)} keys)"
    )
    aims = goals.PATTERNS_ALL.judged(alone), goals.KEY_P95.judged(p95_ms)
    return figure(name, said, *aims)
