"""Writes the record: what is displayed, with marks and everything declared missing.

``wire.record`` describes its entries.

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
from typing import IO, Final, NamedTuple

from msgspec import UNSET
from msgspec.structs import astuple, replace

from common.concurrency import in_thread
from common.files import replace_file
from tui.client.engine import Engine
from tui.client.refetch import RefetchError
from tui.client.status import Status
from tui.lines.rows import Line, Rule, rule_number, time_of
from wire import record as entries
from wire.codec import encode
from wire.record import RECORD_VERSION, Entry

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


def record_header(engine: Engine, status: Status) -> entries.Header:
    """Return the first entry, with the targets."""
    targets: list[entries.HeaderTarget | str] = [
        entries.HeaderTarget(
            target.name, target.url, target.group, target.since_ms, session.event_filter
        )
        for target, session in zip(status.targets, engine.sessions, strict=True)
    ]
    return entries.Header(RECORD_VERSION, engine.started_ms or UNSET, targets)


def event_entry(engine: Engine, line: Line) -> entries.Event:
    """Return the entry of a displayed line."""
    arrived_ms = engine.courses[line.target].arrived_ms(line)
    return entries.Event(
        target=line.target,
        seq=line.seq,
        id=line.id,
        timestamp=line.timestamp,
        ingestion_time=line.ingestion_time,
        log_group=engine.groups[line.target],
        log_stream=line.stream,
        message=line.message,
        origin=line.origin,
        late=line.late_ms > 0,
        late_ms=line.late_ms if line.late_ms > 0 else UNSET,
        confirmed=engine.timeline.is_confirmed(line),
        arrived=UNSET if arrived_ms is None else arrived_ms,
    )


def verification_entries(engine: Engine, status: Status) -> Iterator[Entry]:
    """Yield the marks, the connections, and what is declared missing."""
    for mark in engine.marks:
        yield entries.Mark(
            target=mark.target,
            from_=mark.from_ms,
            through=mark.through_ms,
            scanned_at=mark.scanned_at_ms,
            seq=mark.seq,
            count=mark.count,
            digest=mark.digest,
            equal=mark.equal,
            confirmed=mark.era == engine.sessions[mark.target].holdings.era,
        )
    for target in status.targets:
        for one in target.connections:
            yield entries.Connection(
                target=target.target, at=one.at_ms, outcome=one.outcome, epoch=one.epoch
            )
    yield from _missing_entries(status)
    for number, session in enumerate(engine.sessions):
        for text in session.altered:
            yield entries.Altered(
                target=number,
                id=text.id,
                timestamp=text.timestamp,
                message=text.message,
                length=text.length,
            )


def closing_entries(engine: Engine, status: Status) -> Iterator[Entry]:
    """Yield the states, the course of the run, the outages, and the status as the last entry."""
    for target in status.targets:
        for change in target.history:
            yield entries.State(
                target=target.target, at=change.at_ms, state=change.state, detail=change.detail
            )
    for course in engine.courses:
        yield from course.entries()
    for target in status.targets:
        for outage in target.outages:
            yield entries.Outage(
                target=target.target,
                from_=outage.began_ms,
                through=outage.ended_ms,
                code=outage.code,
                reason=outage.reason,
                recovered=outage.recovered,
                outcome=outage.outcome,
            )
    for at_ms, rule in engine.rules:
        yield rule_entry(at_ms, rule)
    yield entries.Ending(
        ended=status.at_ms,
        state=status.state,
        complete_through=status.complete_through_ms,
        provisional=status.provisional,
        missing=status.missing,
        lines=status.lines,
        duplicates=status.duplicates,
        late=status.late,
        repaired=status.repaired,
        unconfirmed=status.unconfirmed,
        altered=status.altered,
        uncompared_before=status.uncompared_ms,
        ends=[entries.End(*astuple(end)) for one in status.targets for end in one.ends],
    )


def rule_entry(at_ms: int, rule: Rule) -> entries.RuleChange:
    """Return the entry of a rule that came or changed at a time."""
    return entries.RuleChange(
        target=rule.target,
        at=at_ms,
        kind=rule.kind,
        timestamp=rule.timestamp,
        number=rule_number(rule.key),
        from_=rule.from_ms,
        through=rule.through_ms,
        state=rule.state,
        reason=rule.reason,
        count=rule.count,
    )


def _entries_in_memory(engine: Engine) -> Iterator[Entry]:
    status = engine.status
    yield record_header(engine, status)
    for row in engine.timeline.iterate():
        if isinstance(row, Line):
            yield event_entry(engine, row)
    yield from verification_entries(engine, status)
    for from_ms, through_ms, lines in engine.timeline.evicted_ranges:
        yield entries.Evicted(count=lines, from_=from_ms, through=through_ms)
    yield from closing_entries(engine, status)


def _missing_entries(status: Status) -> Iterator[Entry]:
    for gap in status.gaps:
        yield entries.Gap(
            target=gap.target,
            id=gap.id,
            from_=gap.from_ms,
            through=gap.through_ms,
            state=gap.state,
            reason=gap.reason,
            recovered=gap.recovered,
        )
    for one in status.unequal:
        yield entries.Gap(
            target=one.target,
            from_=one.from_ms,
            through=one.through_ms,
            state="unproved",
            reason=f"{one.missing} missing or different",
        )
    for lost in status.lost:
        yield entries.Lost(
            target=lost.target, from_=lost.from_ms, through=lost.through_ms, reason=lost.reason
        )


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
        missing = entries.Evicted(
            count=max(0, place.lines - count),
            from_=time_of(place.low if low is None else low),
            through=time_of(place.high),
            reason=failure or "the forwarder does not have them any more",
        )
        _write_entry(file, missing)
    return failure


def _refetched_entries(
    engine: Engine, lines: Iterable[Line], late: dict[int, int]
) -> Iterator[entries.Event]:
    for line in lines:
        entry = event_entry(engine, replace(line, late_ms=late.get(line.key, 0)))
        entry.recalled = True
        yield entry


def _write_entry(file: IO[bytes], entry: Entry) -> None:
    file.write(encode(entry) + b"\n")


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    while size > 0 and (data := source.read(min(size, _COPY_BYTES))):
        target.write(data)
        size -= len(data)
