"""A viewer's record (``--record FILE``) and the events that it is judged by. Pure."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec
from msgspec.structs import replace

from common.text import unique_keys
from simulator.acceptance import NEVER
from simulator.cloudwatch.altered_texts import Alteration
from simulator.cloudwatch.filter_patterns import Matches, compile_filter, parse
from simulator.errors import SimulatorError
from wire.codec import encode
from wire.order import key_of
from wire.query import Filter
from wire.record import (
    RECORD_VERSION,
    EntryReader,
    Event,
    Gap,
    Header,
    HeaderTarget,
    Lost,
    Mark,
)

SCAN_MS: Final = 10_000
"""An event that is deleted within this time after a scan began may be missing from it."""

BRIEF_MS: Final = 120_000
"""An event that was visible for less than this may have come and gone between two scans."""

Identity = tuple[str, int, str]


class LedgerEvent(msgspec.Struct, frozen=True, gc=False):
    """An event that CloudWatch accepted; times in ms since the Unix epoch.

    Attributes:
        log_stream: Its log stream.
        timestamp: Its own time.
        message: Its text.
        accepted_ms: When the call that wrote it had returned.
        visible_ms: The moment from which on every scan must find it; never before ``accepted_ms``.
        vanished_ms: The moment at which its log group was recreated.
        expired_ms: The moment at which the retention deleted it.
        other_text: The text that CloudWatch returned at times instead; None: always ``message``.
        alterations: Those times.
    """

    log_stream: str
    timestamp: int
    message: str
    accepted_ms: int
    visible_ms: int
    vanished_ms: int = NEVER
    expired_ms: int = NEVER
    other_text: str | None = None
    alterations: tuple[Alteration, ...] = ()

    @property
    def removed_ms(self) -> int:
        """Moment in ms from which on no scan can find the event."""
        return min(self.vanished_ms, self.expired_ms)

    @property
    def was_brief(self) -> bool:
        """Whether the event may have been removed before any scan saw it."""
        return self.removed_ms != NEVER and self.removed_ms - self.visible_ms < BRIEF_MS

    @property
    def identity(self) -> Identity:
        """The fields by which the verdict recognises the event."""
        return (self.log_stream, self.timestamp, self.message)

    def is_found_by(self, scan_ms: int) -> bool:
        """Whether a full scan that began at ``scan_ms`` must have returned the event."""
        is_there = self.removed_ms == NEVER or scan_ms + SCAN_MS < self.removed_ms
        return self.visible_ms <= scan_ms and is_there

    def may_return(self, text: str, scan_ms: int) -> bool:
        """Whether a full scan that began at ``scan_ms`` may have returned it with that text."""
        end_ms = scan_ms + SCAN_MS
        if text == self.other_text:
            return any(one.begin_ms <= end_ms and scan_ms <= one.end_ms for one in self.alterations)
        return text == self.message and not any(
            one.begin_ms < scan_ms
            and end_ms < one.end_ms
            and self.accepted_ms <= one.ingested_until_ms
            for one in self.alterations
        )


_ALTERED: Final = "altered"
"""What the reason of a gap begins with whose events have other texts by now."""

_UNIQUE: Final = json.JSONDecoder(object_pairs_hook=unique_keys)

_UNDECLARED_STATES: Final = frozenset({"repaired"})


class Target(msgspec.Struct, frozen=True):
    """One request of the viewer: a log group, a start in ms, and a filter."""

    since: int | None = None
    filter: Filter = Filter()

    def requests(self, stream: str, timestamp: int, message: str) -> bool:
        """Whether the viewer requested an event by this target."""
        return (self.since is None or timestamp >= self.since) and self.selects(stream, message)

    def selects(self, stream: str, message: str) -> bool:
        """Whether the filter selects an event, its filter pattern included."""
        return self.filter.matches(stream) and _matches(self.filter.pattern, message)


class Shown(msgspec.Struct, frozen=True, gc=False):
    """One shown event; ``seq`` is 0 where it is not of the current chain of epochs."""

    key: int
    id: str
    stream: str
    timestamp: int
    message: str
    seq: int = 0

    @property
    def identity(self) -> Identity:
        """The fields by which the verdict recognises the event."""
        return (self.stream, self.timestamp, self.message)


class Record(msgspec.Struct):
    """The events that a viewer shows, in display order, with its claims and declared ranges.

    Attributes:
        claims: Marks that it found equal, so that it claims their ranges to be complete; their seq
            is ``NEVER`` where it can't be compared with those of the shown events.
        declared: The ranges that it declares incomplete.
        altered: The ranges of which it says, or once said, that CloudWatch returns other texts.
    """

    targets: list[Target] = []
    shown: list[Shown] = []
    claims: list[Mark] = []
    declared: list[tuple[int, int]] = []
    altered: list[tuple[int, int]] = []

    def requests(self, stream: str, timestamp: int, message: str) -> bool:
        """Whether the viewer requested an event; without targets it requested all."""
        # A loop, as this is asked about each accepted event.
        for one in self.targets:
            if one.requests(stream, timestamp, message):
                return True
        return not self.targets

    def covers(self, claim: Mark, stream: str, message: str) -> bool:
        """Whether a claim covers such an event of that stream."""
        mine = self.targets[claim.target : claim.target + 1]
        return not self.targets or any(one.selects(stream, message) for one in mine or self.targets)

    def declares(self, timestamp: int) -> bool:
        """Whether the viewer itself declares events missing at that time."""
        return any(low <= timestamp <= high for low, high in self.declared)

    def declares_altered(self, timestamp: int) -> bool:
        """Whether the viewer itself declares texts altered at that time."""
        return any(low <= timestamp <= high for low, high in self.altered)


_Judged = Header | Event | Mark | Gap | Lost
_ENTRIES: Final = EntryReader[_Judged](_Judged)


def read_record(lines: Iterable[str | bytes]) -> Record:
    """Parse a record from lines of NDJSON; lines of other types are ignored.

    Raises:
        SimulatorError: it is not a record; the text names the line and the error.
    """
    record: Record | None = None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = _read(line)
            if record is None:
                record = _header(entry)
            else:
                _add_entry(record, entry)
        except (ValueError, RecursionError) as error:
            msg = f"line {number} is not of a viewer's record: {str(error)[:200]}"
            raise SimulatorError(msg) from error
    if record is None:
        msg = "the record is empty: even a record without events begins with its header"
        raise SimulatorError(msg)
    return record


def _read(line: str | bytes) -> _Judged | None:
    """Read an entry; a key that stands twice is refused, of which the reader takes the last."""
    data = line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass")
    with contextlib.suppress(msgspec.DecodeError):
        entry = _ENTRIES.read(data)
        if entry is not None and encode(entry) == data.strip():
            return entry  # as a viewer writes it: no key stands twice
    _UNIQUE.decode(data.decode("utf-8", "surrogatepass"))
    return _ENTRIES.read(data)


def _header(entry: _Judged | None) -> Record:
    if not isinstance(entry, Header) or entry.version != RECORD_VERSION:
        msg = f'it must begin with {{"type": "record", "version": {RECORD_VERSION}, ...}}'
        raise ValueError(msg)
    return Record(targets=[_target(one) for one in entry.targets])


def _target(one: str | HeaderTarget) -> Target:
    if isinstance(one, str):
        return Target()
    parse(one.filter.pattern)  # the language must know it
    return Target(one.since, one.filter)


@lru_cache(maxsize=64)
def _matcher(pattern: str) -> Matches:
    parsed = parse(pattern)
    return (lambda _: True) if parsed is None else compile_filter(parsed)


def _matches(pattern: str, message: str) -> bool:
    return not pattern or _matcher(pattern)(message)


def _add_entry(record: Record, entry: _Judged | None) -> None:
    match entry:
        case Event():
            # Lines printed before a restart of the viewer have no ``confirmed``.
            seq = entry.seq if entry.confirmed else 0
            key = key_of(entry.timestamp, entry.id)
            record.shown.append(
                Shown(key, entry.id, entry.log_stream, entry.timestamp, entry.message, seq)
            )
        case Mark(equal=True):
            record.claims.append(entry if entry.confirmed else replace(entry, seq=NEVER))
        case Gap() | Lost():
            span = (entry.from_, entry.through)
            if isinstance(entry, Lost) or entry.state not in _UNDECLARED_STATES:
                record.declared.append(span)
            if entry.reason.startswith(_ALTERED):
                record.altered.append(span)
