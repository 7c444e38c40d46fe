"""The record: what is displayed, in display order, with marks and what is declared missing.

NDJSON: ``record`` first, then ``event`` lines in display order, then ``mark``, ``connection``
(each one that was taken up), ``gap`` (a range that compared unequal is one in the state
``unproved``), ``lost``, ``evicted``, ``outage`` (each disconnection), and ``status`` last. The
screen and plain output write the same. Events and marks are ``confirmed`` if they are of the
present epoch's chain: the seqs of those, and no others, can be compared.

The record with the lines that left memory: fetched again, each in its place. A shell.

What is in memory is written at once, as it stands at that moment; then the lines between are
asked for, a page at a time, so that no record needs more memory than the screen does. A line
that was fetched has ``recalled``. What can't be had stays ``evicted``, with the reason.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import msgspec

from common.concurrency import in_thread
from tui.client.engine import Engine
from tui.client.refetch import RefetchError
from tui.client.status import Status
from tui.lines.rows import Line, Rule, time_of
from tui.output.formats import event
from wire.codec import encode

RECORD_VERSION: Final = 1


def write_record(path: Path, engine: Engine) -> None:
    """Write the record; another one of that name is replaced only by a whole one.

    Raises:
        OSError: it can't be written.

    """
    engine.merge()
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with draft.open("wb") as file:
            file.writelines(encode(entry) + b"\n" for entry in entries(engine))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def entries(engine: Engine) -> Iterator[dict[str, Any]]:
    """The record's lines."""
    status = engine.status
    yield header(engine, status)
    for row in engine.timeline.iterate():
        if isinstance(row, Line):
            yield as_entry(engine, row)
    yield from proofs(engine, status)
    yield from _evicted(engine)
    yield from outages(status)


def header(engine: Engine, status: Status) -> dict[str, Any]:
    """The first line: what was asked for."""
    targets = list(_targets(engine, status))
    return {"type": "record", "version": RECORD_VERSION, "targets": targets}


def as_entry(engine: Engine, line: Line) -> dict[str, Any]:
    """A line that is displayed."""
    return {
        "type": "event",
        "target": line.target,
        **event(line, engine.groups[line.target]),
        "late": line.late_ms > 0,
        "confirmed": engine.timeline.is_confirmed(line),
    }


def proofs(engine: Engine, status: Status) -> Iterator[dict[str, Any]]:
    """Marks, connections, and what is declared missing."""
    for mark in engine.marks:
        yield {
            "type": "mark",
            "target": mark.target,
            "from": mark.from_ms,
            "through": mark.through_ms,
            "scanned_at": mark.scanned_at_ms,
            "seq": mark.seq,
            "count": mark.count,
            "digest": mark.digest,
            "equal": mark.equal,
            "confirmed": mark.era == engine.sessions[mark.target].holdings.era,
        }
    for target in status.targets:
        for one in target.connections:
            yield {
                "type": "connection",
                "target": target.target,
                "at": one.at_ms,
                "outcome": one.outcome,
                "epoch": one.epoch,
            }
    yield from _missing(status)


def outages(status: Status) -> Iterator[dict[str, Any]]:
    """Disconnections, and the last line: how it stands."""
    for target in status.targets:
        for outage in target.outages:
            yield {
                "type": "outage",
                "target": target.target,
                "from": outage.began_ms,
                "through": outage.ended_ms,
                "code": outage.code,
                "reason": outage.reason,
                "recovered": outage.recovered,
                "outcome": outage.outcome,
            }
    yield {
        "type": "status",
        "state": status.state,
        "complete_through": status.complete_through_ms,
        "provisional": status.provisional,
        "missing": status.missing,
        "lines": status.lines,
        "duplicates": status.duplicates,
        "late": status.late,
        "repaired": status.repaired,
        "unconfirmed": status.unconfirmed,
        "uncompared_before": status.uncompared_ms,
        "ends": [msgspec.to_builtins(end) for one in status.targets for end in one.ends],
    }


def _targets(engine: Engine, status: Status) -> Iterable[dict[str, Any]]:
    for target, session in zip(status.targets, engine.sessions, strict=True):
        yield {
            "name": target.name,
            "url": target.url,
            "group": target.group,
            "since": target.since_ms,
            "filter": msgspec.to_builtins(session.event_filter),
        }


def _evicted(engine: Engine) -> Iterator[dict[str, Any]]:
    """What is not in memory: the forwarder still has it."""
    for from_ms, through_ms, lines in engine.timeline.evicted_ranges:
        yield {"type": "evicted", "count": lines, "from": from_ms, "through": through_ms}


def _missing(status: Status) -> Iterator[dict[str, Any]]:
    for gap in status.gaps:
        yield {
            "type": "gap",
            "target": gap.target,
            "id": gap.id,
            "from": gap.from_ms,
            "through": gap.through_ms,
            "state": gap.state,
            "reason": gap.reason,
            "recovered": gap.recovered,
        }
    for one in status.unequal:
        yield {
            "type": "gap",
            "target": one.target,
            "id": "",
            "from": one.from_ms,
            "through": one.through_ms,
            "state": "unproved",
            "reason": f"{one.missing} missing or different",
            "recovered": 0,
        }
    for lost in status.lost:
        yield {
            "type": "lost",
            "target": lost.target,
            "from": lost.from_ms,
            "through": lost.through_ms,
            "reason": lost.reason,
        }


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
    while (piece := engine.timeline.evicted_at(low)) is not None:
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
            lines, through = await engine.fetch_range(low, place.high)
        except RefetchError as error:
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
