"""Has what a screen shows judged every few seconds, while a simulator lends its judge."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import Any, Final, Protocol

from common.errors import GaplessError
from tui.client.engine import Engine
from tui.lines.rows import Line
from tui.output.record import as_entry, header, outages, proofs
from tui.screen.controls import Story
from wire.codec import encode

EVERY_S: Final = 1.5
SHARE: Final = 9
"""So many times as long as a judgement took, none begins: it takes a tenth of the time at most."""

LINES_MAX: Final = 200_000
"""More are not judged, and that is said: the simulator reads them all, and has else to do."""

SLICE_ROWS: Final = 500
"""Lines written at once: some milliseconds, so that keys are answered in between."""


class Judge(Protocol):
    """Who knows what CloudWatch accepted."""

    @property
    def story(self) -> Story | None:
        """The scenario that is on; without one nobody is judged."""

    def judge(self, record: bytes, age_ms: int) -> None:
        """Judge a record that was begun so long ago; raises GaplessError where nobody answers."""

    def leave_off(self, why: str) -> None:
        """What was judged before is no verdict about what is on screen now."""


def why_not(lines: int, evicted: int) -> str:
    """Why a screen with so many lines in memory, and so many not, is not judged; empty: it is."""
    if lines > LINES_MAX:
        return f"not judged: more than {LINES_MAX:,} lines"
    return "not judged: some lines are not in memory" if evicted else ""


async def judge_on_and_on(engine: Engine, judge: Judge) -> None:
    """Until it is cancelled."""
    took_s = 0.0
    while True:
        await asyncio.sleep(max(EVERY_S, SHARE * took_s))
        if judge.story is None:
            continue
        why = why_not(engine.timeline.lines, engine.timeline.evicted)
        if why:
            judge.leave_off(why)
            continue
        began = time.monotonic()
        record = await _written(engine)
        age_ms = round((time.monotonic() - began) * 1_000)
        # What the simulator does not answer now, it may the next time.
        with contextlib.suppress(GaplessError):
            await asyncio.to_thread(judge.judge, record, age_ms)
        took_s = time.monotonic() - began


async def _written(engine: Engine) -> bytes:
    """The record, a slice at a time.

    What is proved is written first: what comes while lines are gathered makes no mark a liar.
    """
    engine.merge()
    status, timeline = engine.status, engine.timeline
    parts = [header(engine, status), *proofs(engine, status)]
    written = [_lines(parts)]
    key = -1
    while rows := timeline.rows(at := timeline.index_of(key + 1), at + SLICE_ROWS):
        key = rows[-1].key
        written.append(_lines([as_entry(engine, row) for row in rows if isinstance(row, Line)]))
        await asyncio.sleep(0)
    return b"".join([*written, _lines(outages(status))])


def _lines(entries: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(encode(entry) + b"\n" for entry in entries)
