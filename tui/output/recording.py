"""The record with the lines that left memory: fetched again, each in its place. A shell.

What is in memory is written at once, as it stands at that moment; then the lines between are
asked for, a page at a time, so that no record needs more memory than the screen does. A line
that was fetched has ``recalled``. What can't be had stays ``evicted``, with the reason.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import msgspec

from tui.client.engine import Engine
from tui.client.fetching import FetchError
from tui.client.http import in_thread
from tui.lines.rows import Line, Rule, time_of
from tui.output.record import as_entry, header, outages, proofs
from wire.codec import encode

_COPY_BYTES: Final = 1 << 20


class _Place(NamedTuple):
    """Where lines are missing in what was written."""

    at: int
    """The offset in the file."""
    low: int
    high: int
    lines: int
    is_counted: bool
    late: dict[int, int]


async def write_whole_record(path: Path, engine: Engine) -> None:
    """Write the record; another one of that name is replaced only by a whole one.

    Raises:
        OSError: it can't be written.

    """
    known, whole = (
        path.with_name(f".{path.name}.{os.getpid()}.{number}.new") for number in range(2)
    )
    try:
        with known.open("w+b") as source, whole.open("wb") as target:
            places = _write_known(source, engine)
            source.seek(0)
            at, failure = 0, ""
            for place in places:
                await in_thread(partial(_copy, source, target, place.at - at))
                at = place.at
                failure = await _fetch(target, engine, place, failure)
            await in_thread(partial(shutil.copyfileobj, source, target, _COPY_BYTES))
        whole.replace(path)
    finally:
        known.unlink(missing_ok=True)
        whole.unlink(missing_ok=True)


def _write_known(file: IO[bytes], engine: Engine) -> list[_Place]:
    """Write what is in memory; the places of what is not."""
    engine.merge()
    status, timeline = engine.status, engine.timeline
    places: list[_Place] = []
    _write(file, header(engine, status))
    for row in timeline.iterate():
        if isinstance(row, Line):
            _write(file, as_entry(engine, row))
        elif row.kind == "evicted":
            places.append(_place(engine, row, file.tell()))
    for entry in (*proofs(engine, status), *outages(status)):
        _write(file, entry)
    return places


def _place(engine: Engine, rule: Rule, at: int) -> _Place:
    late: dict[int, int] = {}
    low, is_counted = rule.key, True
    while (piece := engine.timeline.gone_at(low)) is not None:
        late |= piece.late
        is_counted = is_counted and piece.is_counted
        if piece.low == 0:
            low = 0
            break
        low = piece.low - 1
    else:
        low += 1
    return _Place(at, low, rule.key, rule.count or 0, is_counted, late)


async def _fetch(file: IO[bytes], engine: Engine, place: _Place, failure: str) -> str:
    """Write the lines of a place; why no more are to be had, once one request has failed."""
    low: int | None = place.low
    count = 0
    while low is not None and not failure:
        try:
            lines, through = await engine.recalled(low, place.high)
        except FetchError as error:
            failure = str(error)
            break
        for entry in _recalled(engine, lines, place.late):
            _write(file, entry)
        count += len(lines)
        low = None if through is None or through >= place.high else through + 1
    if low is not None or (place.is_counted and count < place.lines):
        _write(
            file,
            {
                "type": "evicted",
                "count": max(0, place.lines - count),
                "from": time_of(place.low if low is None else low),
                "through": time_of(place.high),
                "reason": failure or "they are not there any more",
            },
        )
    return failure


def _recalled(engine: Engine, lines: list[Line], late: dict[int, int]) -> Iterator[dict[str, Any]]:
    for line in lines:
        known = msgspec.structs.replace(line, late_ms=late.get(line.key, 0))
        yield {**as_entry(engine, known), "recalled": True}


def _write(file: IO[bytes], entry: dict[str, Any]) -> None:
    file.write(encode(entry) + b"\n")


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    while size > 0 and (data := source.read(min(size, _COPY_BYTES))):
        target.write(data)
        size -= len(data)
