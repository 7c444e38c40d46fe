"""Has the simulator judge, every few seconds, what a screen shows while a scenario runs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from common.concurrency import in_thread
from common.errors import GaplessError
from tui.client.engine import Engine
from tui.lines.rows import Line
from tui.output.record import (
    closing_entries,
    event_entry,
    record_header,
    verification_entries,
)
from wire.codec import encode

if TYPE_CHECKING:
    from gapless.viewing.controls import SimulatorControls

PAUSE_S: Final = 1.5
"""Shortest pause between two judgements."""

PAUSE_FACTOR: Final = 9
"""The pause is at least this many times the last judgement: judging takes a tenth of the time."""

LINES_MAX: Final = 200_000
"""Screens with more lines are not judged, and say so: the simulator would have to read them all."""

SLICE_ROWS: Final = 500
"""Lines encoded at once: some milliseconds, so that keys are handled in between."""


def reason_to_skip(lines: int, evicted: int) -> str:
    """Return why a screen with these numbers of lines is not judged; empty if it is."""
    if lines > LINES_MAX:
        return f"not judged: more than {LINES_MAX:,} lines"
    return "not judged: some lines are not in memory" if evicted else ""


async def keep_judging(engine: Engine, controls: SimulatorControls) -> None:
    """Judge the screen again and again, until cancelled."""
    took_s = 0.0
    while True:
        await asyncio.sleep(max(PAUSE_S, PAUSE_FACTOR * took_s))
        if controls.scenario is None:
            continue
        reason = reason_to_skip(engine.timeline.lines, engine.timeline.evicted)
        if reason:
            controls.skip(reason)
            continue
        began = time.monotonic()
        record = await _encode_record(engine)
        age_ms = round((time.monotonic() - began) * 1_000)
        # A simulator that does not answer now may answer the next time.
        with contextlib.suppress(GaplessError):
            await in_thread(partial(controls.judge, record, age_ms))
        took_s = time.monotonic() - began


async def _encode_record(engine: Engine) -> bytes:
    """Encode the record, a slice at a time.

    The marks come first, so that events which arrive meanwhile cannot make a mark wrong.
    """
    engine.merge()
    status, timeline = engine.status, engine.timeline
    parts = [record_header(engine, status), *verification_entries(engine, status)]
    written = [_lines(parts)]
    key = -1
    while rows := timeline.rows(at := timeline.index_of(key + 1), at + SLICE_ROWS):
        key = rows[-1].key
        written.append(_lines([event_entry(engine, row) for row in rows if isinstance(row, Line)]))
        await asyncio.sleep(0)
    return b"".join([*written, _lines(closing_entries(status))])


def _lines(entries: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(encode(entry) + b"\n" for entry in entries)
