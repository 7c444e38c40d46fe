"""The record: NDJSON of what is displayed, with marks and everything declared missing.

The lines are ``record`` first, then ``event`` in display order, ``mark``, ``connection`` (each one
that the forwarder accepted), ``gap`` (also for ranges that compared unequal, in the state
``unproved``), ``lost``, ``altered`` (the text that CloudWatch now returns for an event),
``evicted``, ``state``, ``second`` (the lines that arrived in it, and their longest lag),
``verified`` (through when, each time that changed), ``upstream`` (CloudWatch's state), ``detail``
(the words beside the state), ``altered_lines`` (how many lines were altered), ``outage``, ``rule``
(a rule between the lines as it came or changed, for a replay), and ``status`` last.
Events and marks are ``confirmed`` if they belong to the present epoch's chain: only their seqs can
be compared. Events have ``arrived``, the time at which they came, where that is known.

``write_record`` writes what is in memory. ``write_complete_record`` then also fetches the evicted
lines, a page at a time, each to its place; they have ``recalled``. What cannot be fetched stays
``evicted``, with the reason.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final, NamedTuple

import msgspec

from common.concurrency import in_thread
from common.files import replace_file
from tui.client.engine import Engine
from tui.client.refetch import RefetchError
from tui.client.status import GapStatus, LostRange, MarkStatus, Status, UnequalRange
from tui.lines.rows import Line, Rule, rule_number, time_of
from tui.output.formats import event_fields
from wire.codec import encode

RECORD_VERSION: Final = 1
_COPY_BYTES: Final = 1 << 20


def write_record(path: Path, engine: Engine) -> None:
    """Write the record of what is in memory.

    Raises:
        OSError: The file cannot be written; an older record stays.
    """
    engine.merge()
    with replace_file(path) as file:
        for entry in _entries_in_memory(engine):
            _write_entry(file, entry)


async def write_complete_record(path: Path, engine: Engine) -> None:
    """Write the record with the evicted lines.

    Raises:
        OSError: The file cannot be written; an older record stays.
    """
    with replace_file(path) as target, TemporaryFile(dir=path.parent) as source:
        places = _write_with_places(source, engine)
        source.seek(0)
        at, failure = 0, ""
        for place in places:
            await in_thread(partial(_copy, source, target, place.at - at))
            at = place.at
            failure = await _write_evicted(target, engine, place, failure)
        await in_thread(partial(shutil.copyfileobj, source, target, _COPY_BYTES))


# Entries


def record_header(engine: Engine, status: Status) -> dict[str, Any]:
    """Return the first entry, with the targets."""
    targets = [
        {
            "name": target.name,
            "url": target.url,
            "group": target.group,
            "since": target.since_ms,
            "filter": msgspec.to_builtins(session.event_filter),
        }
        for target, session in zip(status.targets, engine.sessions, strict=True)
    ]
    began = {"began": engine.started_ms} if engine.started_ms else {}
    return {"type": "record", "version": RECORD_VERSION, **began, "targets": targets}


def event_entry(engine: Engine, line: Line) -> dict[str, Any]:
    """Return the entry of a displayed line."""
    arrived_ms = engine.courses[line.target].arrived_ms(line)
    return {
        "type": "event",
        "target": line.target,
        **event_fields(line, engine.groups[line.target]),
        "late": line.late_ms > 0,
        **({"late_ms": line.late_ms} if line.late_ms > 0 else {}),
        "confirmed": engine.timeline.is_confirmed(line),
        **({} if arrived_ms is None else {"arrived": arrived_ms}),
    }


def verification_entries(engine: Engine, status: Status) -> Iterator[dict[str, Any]]:
    """Yield the marks, the connections, and what is declared missing."""
    for mark in engine.marks:
        yield _range_entry(
            "mark",
            mark,
            scanned_at=mark.scanned_at_ms,
            seq=mark.seq,
            count=mark.count,
            digest=mark.digest,
            equal=mark.equal,
            confirmed=mark.era == engine.sessions[mark.target].holdings.era,
        )
    for target in status.targets:
        for one in target.connections:
            yield {
                "type": "connection",
                "target": target.target,
                "at": one.at_ms,
                "outcome": one.outcome,
                "epoch": one.epoch,
            }
    yield from _missing_entries(status)
    for number, session in enumerate(engine.sessions):
        for text in session.altered:
            yield {
                "type": "altered",
                "target": number,
                "id": text.id,
                "timestamp": text.timestamp,
                "message": text.message,
                "length": text.length,
            }


def closing_entries(engine: Engine, status: Status) -> Iterator[dict[str, Any]]:
    """Yield the states, the course of the run, the outages, and the status as the last entry."""
    for target in status.targets:
        for change in target.history:
            yield {
                "type": "state",
                "target": target.target,
                "at": change.at_ms,
                "state": change.state,
                "detail": change.detail,
            }
    for number, course in enumerate(engine.courses):
        yield from course.entries(number)
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
    for at_ms, rule in engine.rules:
        yield rule_entry(at_ms, rule)
    yield {
        "type": "status",
        "ended": status.at_ms,
        "state": status.state,
        "complete_through": status.complete_through_ms,
        "provisional": status.provisional,
        "missing": status.missing,
        "lines": status.lines,
        "duplicates": status.duplicates,
        "late": status.late,
        "repaired": status.repaired,
        "unconfirmed": status.unconfirmed,
        "altered": status.altered,
        "uncompared_before": status.uncompared_ms,
        "ends": [msgspec.to_builtins(end) for one in status.targets for end in one.ends],
    }


def rule_entry(at_ms: int, rule: Rule) -> dict[str, Any]:
    """Return the entry of a rule that came or changed at a time."""
    return {
        "type": "rule",
        "target": rule.target,
        "at": at_ms,
        "kind": rule.kind,
        "timestamp": rule.timestamp,
        "number": rule_number(rule.key),
        "from": rule.from_ms,
        "through": rule.through_ms,
        "state": rule.state,
        "reason": rule.reason,
        "count": rule.count,
    }


def _entries_in_memory(engine: Engine) -> Iterator[dict[str, Any]]:
    status = engine.status
    yield record_header(engine, status)
    for row in engine.timeline.iterate():
        if isinstance(row, Line):
            yield event_entry(engine, row)
    yield from verification_entries(engine, status)
    for from_ms, through_ms, lines in engine.timeline.evicted_ranges:
        yield {"type": "evicted", "count": lines, "from": from_ms, "through": through_ms}
    yield from closing_entries(engine, status)


def _missing_entries(status: Status) -> Iterator[dict[str, Any]]:
    for gap in status.gaps:
        yield _gap_entry(gap, gap.id, gap.state, gap.reason, gap.recovered)
    for one in status.unequal:
        yield _gap_entry(one, "", "unproved", f"{one.missing} missing or different", 0)
    for lost in status.lost:
        yield _range_entry("lost", lost, reason=lost.reason)


def _gap_entry(
    one: GapStatus | UnequalRange, name: str, state: str, reason: str, recovered: int
) -> dict[str, Any]:
    return _range_entry("gap", one, name, state=state, reason=reason, recovered=recovered)


def _range_entry(
    kind: str,
    one: GapStatus | LostRange | MarkStatus | UnequalRange,
    name: str | None = None,
    **fields: object,
) -> dict[str, Any]:
    """The entry of a time range of one target, with its id if it has one."""
    names = {} if name is None else {"id": name}
    span = {"from": one.from_ms, "through": one.through_ms}
    return {"type": kind, "target": one.target, **names, **span, **fields}


# Evicted lines


class _EvictedPlace(NamedTuple):
    """Where in the written entries evicted lines are missing."""

    at: int
    """The offset in the file."""
    low: int
    high: int
    lines: int
    is_counted: bool
    late: dict[int, int]
    """How late each late line is, ms, by key."""


def _write_with_places(file: IO[bytes], engine: Engine) -> list[_EvictedPlace]:
    """Write what is in memory; returns the places where evicted lines are missing."""
    engine.merge()
    status, timeline = engine.status, engine.timeline
    places: list[_EvictedPlace] = []
    _write_entry(file, record_header(engine, status))
    for row in timeline.iterate():
        if isinstance(row, Line):
            _write_entry(file, event_entry(engine, row))
        elif row.kind == "evicted":
            places.append(_evicted_place(engine, row, file.tell()))
    for entry in (*verification_entries(engine, status), *closing_entries(engine, status)):
        _write_entry(file, entry)
    return places


def _evicted_place(engine: Engine, rule: Rule, at: int) -> _EvictedPlace:
    late: dict[int, int] = {}
    low, is_counted = rule.key, True
    while (evicted := engine.timeline.evicted_at(low)) is not None:
        late |= evicted.late
        is_counted = is_counted and evicted.is_counted
        if evicted.low == 0:
            low = 0
            break
        low = evicted.low - 1
    else:
        low += 1
    return _EvictedPlace(at, low, rule.key, rule.count or 0, is_counted, late)


async def _write_evicted(
    file: IO[bytes], engine: Engine, place: _EvictedPlace, failure: str
) -> str:
    """Fetch and write the evicted lines that are missing at one place of the record.

    Lines that cannot be fetched are declared in an entry. Returns the reason of the first failed
    fetch, empty if none failed; after an earlier failure (``failure``) nothing is fetched.
    """
    low: int | None = place.low
    count = 0
    while low is not None and not failure:
        try:
            lines, through = await engine.refetcher.fetch_range(low, place.high)
        except RefetchError as error:
            failure = str(error)
            break
        for entry in _refetched_entries(engine, lines, place.late):
            _write_entry(file, entry)
        count += len(lines)
        low = None if through is None or through >= place.high else through + 1
    if low is not None or (place.is_counted and count < place.lines):
        entry = {
            "type": "evicted",
            "count": max(0, place.lines - count),
            "from": time_of(place.low if low is None else low),
            "through": time_of(place.high),
            "reason": failure or "the forwarder does not have them any more",
        }
        _write_entry(file, entry)
    return failure


def _refetched_entries(
    engine: Engine, lines: Iterable[Line], late: dict[int, int]
) -> Iterator[dict[str, Any]]:
    for line in lines:
        with_lateness = msgspec.structs.replace(line, late_ms=late.get(line.key, 0))
        yield {**event_entry(engine, with_lateness), "recalled": True}


def _write_entry(file: IO[bytes], entry: dict[str, Any]) -> None:
    file.write(encode(entry) + b"\n")


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    while size > 0 and (data := source.read(min(size, _COPY_BYTES))):
        target.write(data)
        size -= len(data)
