"""Pure: a viewer's record (``--record FILE``), as far as a judge needs it.

Pure: an event that CloudWatch accepted, as a judge knows it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from simulator.acceptance import NEVER
from simulator.errors import SimulatorError
from wire.errors import WireError
from wire.order import key_of
from wire.query import Filter

SCAN_MS: Final = 10_000
"""What a scan is looking for may go away under it for so long after it began."""

LOOKED_AGAIN_MS: Final = 120_000
"""What was there for less time than this may have come and gone between two looks."""

Identity = tuple[str, int, str]


class LedgerEvent(msgspec.Struct, frozen=True, gc=False):
    """An event that CloudWatch accepted; times in ms since the Unix epoch.

    ``accepted_ms`` is when the call that wrote it had returned, ``visible_ms`` (never before it)
    from when on every scan must find it. From ``vanished_ms`` on its log group is another one,
    from ``expired_ms`` on the retention has taken it: no scan can find it any more.
    """

    log_stream: str
    timestamp: int
    message: str
    accepted_ms: int
    visible_ms: int
    vanished_ms: int = NEVER
    expired_ms: int = NEVER

    @property
    def gone_ms(self) -> int:
        """From when on no scan can find it."""
        return min(self.vanished_ms, self.expired_ms)

    @property
    def was_brief(self) -> bool:
        """Whether it may have gone before anybody who looks again and again has seen it."""
        return self.gone_ms != NEVER and self.gone_ms - self.visible_ms < LOOKED_AGAIN_MS

    @property
    def identity(self) -> Identity:
        """What it is recognised by."""
        return (self.log_stream, self.timestamp, self.message)

    def is_owed_by(self, scan_ms: int) -> bool:
        """Whether a whole scan that began then must have returned it."""
        is_there = self.gone_ms == NEVER or scan_ms + SCAN_MS < self.gone_ms
        return self.visible_ms <= scan_ms and is_there


RECORD_VERSION: Final = 1

_UNDECLARED_STATES: Final = frozenset({"repaired"})


class Target(msgspec.Struct, frozen=True):
    """What the viewer asked for; everything where a field says nothing."""

    name: str = ""
    since: int | None = None
    filter: Filter = Filter()

    def owes(self, stream: str, timestamp: int) -> bool:
        """Whether an event is owed to who asked for this."""
        return (self.since is None or timestamp >= self.since) and self.filter.matches(stream)


class Shown(msgspec.Struct, frozen=True, gc=False):
    """One displayed event; ``seq`` is 0 where it is not of the present epoch's chain."""

    key: int
    id: str
    stream: str
    timestamp: int
    message: str
    seq: int = 0

    @property
    def identity(self) -> Identity:
        """What it is recognised by."""
        return (self.stream, self.timestamp, self.message)


class Claim(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """A mark that the viewer found equal: nothing is missing in the range.

    ``seq`` is what had been discovered when it came; ``NEVER`` where that can't be compared with
    the displayed events' seqs.
    """

    from_: int
    through: int
    scanned_at: int
    target: str | int | None = None
    seq: int = NEVER


class Record(msgspec.Struct):
    """What a viewer displayed, in display order, and what it said about it."""

    targets: list[Target] = []
    shown: list[Shown] = []
    claims: list[Claim] = []
    declared: list[tuple[int, int]] = []

    def owes(self, stream: str, timestamp: int) -> bool:
        """Whether the viewer should show an event."""
        return not self.targets or any(one.owes(stream, timestamp) for one in self.targets)

    def covers(self, claim: Claim, stream: str) -> bool:
        """Whether a claim is about events of that stream."""
        if isinstance(claim.target, int):
            mine = self.targets[claim.target : claim.target + 1]
        else:
            mine = [one for one in self.targets if one.name == claim.target]
        return any(one.filter.matches(stream) for one in mine or self.targets) or not self.targets

    def declares(self, timestamp: int) -> bool:
        """Whether the viewer itself says that something is missing there."""
        return any(low <= timestamp <= high for low, high in self.declared)


def read_record(lines: Iterable[str | bytes]) -> Record:
    """The record that ``lines`` of NDJSON hold; lines of unknown types are ignored.

    Raises:
        SimulatorError: it is not a record; the text names the line and what is wrong with it.

    """
    record: Record | None = None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            if record is None:
                record = _header(fields)
            else:
                _take(record, fields)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            msg = f"line {number} is not of a viewer's record: {what[:200]}"
            raise SimulatorError(msg) from error
    if record is None:
        msg = "the record is empty: even one that shows nothing begins with its header"
        raise SimulatorError(msg)
    return record


def _header(fields: dict[str, Any]) -> Record:
    if fields["type"] != "record" or fields["version"] != RECORD_VERSION:
        msg = f'it must begin with {{"type": "record", "version": {RECORD_VERSION}, ...}}'
        raise ValueError(msg)
    return Record(targets=[_target(one) for one in fields.get("targets", [])])


def _target(fields: str | dict[str, Any]) -> Target:
    if isinstance(fields, str):
        return Target(name=fields)
    wanted = fields.get("filter") or fields
    return Target(
        name=str(fields.get("name", "")),
        since=msgspec.convert(fields.get("since"), type=int | None),
        filter=Filter(
            _texts(wanted.get("streams")),
            _texts(wanted.get("executions")),
            _texts(wanted.get("prefixes")),
        ),
    )


def _texts(value: object) -> tuple[str, ...]:
    return msgspec.convert(value or (), type=tuple[str, ...])


def _take(record: Record, fields: dict[str, Any]) -> None:
    kind = fields["type"]
    if kind == "event":
        record.shown.append(_shown(fields))
    elif kind == "mark":
        if fields["equal"]:
            record.claims.append(_claim(fields))
    elif kind == "lost" or (kind == "gap" and fields["state"] not in _UNDECLARED_STATES):
        through = fields["through"]
        record.declared.append(msgspec.convert((fields["from"], through), type=tuple[int, int]))


def _claim(fields: dict[str, Any]) -> Claim:
    claim = msgspec.convert(fields, type=Claim)
    if fields.get("confirmed") is True:
        return claim
    return msgspec.structs.replace(claim, seq=NEVER)


def _shown(fields: dict[str, Any]) -> Shown:
    event_id, timestamp = fields["id"], fields["timestamp"]
    if type(event_id) is not str or type(timestamp) is not int:
        msg = "id must be a string and timestamp a number of ms"
        raise WireError(msg)
    return Shown(
        key_of(timestamp, event_id),
        event_id,
        fields["log_stream"],
        timestamp,
        fields["message"],
        # The lines that an earlier life of the viewer printed don't say whether they are.
        msgspec.convert(fields["seq"], type=int) if fields.get("confirmed") is True else 0,
    )
