"""Measures the time of a screen frame with many lines: ``python -m tests.bench.frame [LINES]``.

A frame is the work of one flush: applying the change, layout, drawing the rows and encoding the
bytes for the terminal.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable, Iterator

from tests.bench import goals
from tests.bench.goals import figure
from tests.support.fake_engine import FakeEngine, busy_lines, make_line
from tests.support.screen import Screen, running
from tui.lines.filters import Filters
from tui.lines.rows import Line
from tui.screen import terminal
from tui.screen.columns import FirstColumns

FRAMES = 400
BATCH = 10_000


def lines(first: int, count: int, kinds: list[Line]) -> Iterator[Line]:
    """Lines of every kind in turn."""
    for number in range(first, first + count):
        kind = kinds[number % len(kinds)]
        yield make_line(number, kind.message, stream=kind.stream)


def draw(screen: Screen) -> None:
    """Perform Textual's pending layout and drawing now."""
    app_screen = screen.app.screen
    # Calls Textual's internals to time nothing else.
    app_screen._dirty_widgets.add(screen.app.log_view)
    app_screen._compositor.update_widgets(app_screen._dirty_widgets)
    update = app_screen._compositor.render_partial_update()
    app_screen._dirty_widgets.clear()
    if update is not None:
        update.render_segments(screen.app.console)


def report(name: str, frames: Iterator[Callable[[], None]], screen: Screen) -> None:
    """Time many frames and print p50 and p99."""
    taken = []
    for change in frames:
        began = time.process_time()  # excludes other load of the machine
        change()
        draw(screen)
        taken.append(time.process_time() - began)
    taken.sort()
    p50, p99 = taken[len(taken) // 2] * 1e3, taken[len(taken) * 99 // 100] * 1e3
    said = f"p50 {p50:.2f} ms, p99 {p99:.2f} ms"
    aims = goals.FRAME_P50.judged(p50), goals.FRAME_P99.judged(p99)
    sys.stdout.write(f"  {figure(name, said, *aims)}\n")


async def measure(count: int, size: tuple[int, int]) -> None:
    """Measure all kinds of frames at one screen size."""
    kinds = list(busy_lines(2_000))
    engine = FakeEngine(capacity=2 * count + 1_000_000)
    for first in range(0, count, BATCH):
        engine.timeline.add_many(lines(first, min(BATCH, count - first), kinds))
    while engine.timeline.tidy():
        pass  # compress old lines, as happens after some minutes
    chance = random.Random(1)
    async with running(engine, size=size) as screen:
        terminal.calm_collector()
        log = screen.app.log_view
        sys.stdout.write(f"{count:,} lines at {size[0]}x{size[1]}\n")

        def arriving(each: int) -> Iterator[Callable[[], None]]:
            for number in range(FRAMES):
                batch = list(lines(count + 500_000 + number * each, each, kinds))
                change = engine.timeline.add_many(batch)
                yield lambda change=change: log.flush(change)  # type: ignore[misc] # bound now

        report("5 new lines, following", arriving(5), screen)
        report("a screen of new lines", arriving(size[1]), screen)
        log.move("up")
        late = iter(range(FRAMES))

        def arriving_late() -> Iterator[Callable[[], None]]:
            for number in late:
                at = chance.randrange(count) * 100 + 50
                line = make_line(10_000_000 + number, "late", at_ms=kinds[0].timestamp + at)
                change = engine.timeline.add_many([line])
                yield lambda change=change: log.flush(change)  # type: ignore[misc] # bound now

        report("a late line, scrolled up", arriving_late(), screen)
        report("a page up", iter([lambda: log.move("page_up")] * FRAMES), screen)
        report("a line down", iter([lambda: log.move("down")] * FRAMES), screen)
        keys = [engine.timeline.row(chance.randrange(count)).key for _ in range(FRAMES)]
        report("a jump", iter([lambda key=key: log.go_to(key) for key in keys]), screen)  # type: ignore[misc] # bound now
        filters = Filters()
        filters.add("frame 77", excludes=False)
        began = time.process_time()
        log.show_matching(filters.test())
        draw(screen)
        first_ms = (time.process_time() - began) * 1e3
        while log.filter_slice():
            pass
        all_ms = (time.process_time() - began) * 1e3
        said = f"first screen {first_ms:.1f} ms, all {all_ms:.0f} ms"
        aims = goals.FILTER_FIRST.judged(first_ms), goals.FILTER_ALL.judged(all_ms)
        sys.stdout.write(f"  {figure('a filter', said, *aims)}\n")


def structured(first: int, count: int) -> Iterator[Line]:
    """Lines of JSON, with a nested field, and of logfmt."""
    for number in range(first, first + count):
        took, status = number * 13 % 900, 200 if number % 7 else 500
        yield make_line(
            number,
            f'{{"level":"info","msg":"job {number} done","user":{{"id":{number * 37 % 99_991}}},'
            f'"took":"{took}ms","status":{status},"path":"/v1/jobs/{number % 400}"}}'
            if number % 3
            else f'level=warn msg="cache miss" key=user:{number} took={took}ms status=404',
        )


async def measure_columns(count: int, size: tuple[int, int]) -> None:
    """Measure frames of structured lines with columns of three fields."""
    engine = FakeEngine(capacity=2 * count + 1_000_000)
    for first in range(0, count, BATCH):
        engine.timeline.add_many(structured(first, min(BATCH, count - first)))
    while engine.timeline.tidy():
        pass
    columns = FirstColumns(given="user.id,took,status")
    async with running(engine, size=size, columns=columns) as screen:
        terminal.calm_collector()
        log = screen.app.log_view
        sys.stdout.write(f"{count:,} structured lines with columns at {size[0]}x{size[1]}\n")

        def arriving(each: int) -> Iterator[Callable[[], None]]:
            for number in range(FRAMES):
                batch = list(structured(count + 500_000 + number * each, each))
                change = engine.timeline.add_many(batch)
                yield lambda change=change: log.flush(change)  # type: ignore[misc] # bound now

        report("5 new lines, following", arriving(5), screen)
        report("a screen of new lines", arriving(size[1]), screen)
        log.move("up")
        report("a page up", iter([lambda: log.move("page_up")] * FRAMES), screen)
        report("a line down", iter([lambda: log.move("down")] * FRAMES), screen)


def measure_all(count: int = 1_000_000) -> None:
    """Measure a small, a normal and a large terminal."""
    for size in ((80, 24), (120, 40), (200, 60)):
        asyncio.run(measure(count, size))
        asyncio.run(measure_columns(count, size))


if __name__ == "__main__":
    measure_all(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
