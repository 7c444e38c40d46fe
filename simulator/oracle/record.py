"""A viewer's record (``--record FILE``) and the events that it is judged by. Pure."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

import msgspec

from common.text import unique_keys
from simulator.acceptance import NEVER
from simulator.cloudwatch.altered_texts import Alteration
from simulator.cloudwatch.filter_patterns import Matches, compile_filter, parse
from simulator.errors import SimulatorError
from wire.codec import encode
from wire.errors import WireError
from wire.order import key_of
from wire.query import Filter

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


RECORD_VERSION: Final = 1

_ALTERED: Final = "altered"
"""What the reason of a gap begins with whose events have other texts by now."""

_FAST_DECODER: Final = msgspec.json.Decoder()
_DECODER: Final = json.JSONDecoder(object_pairs_hook=unique_keys)

_UNDECLARED_STATES: Final = frozenset({"repaired"})


class Target(msgspec.Struct, frozen=True):
    """One request of the viewer: a log group, a start in ms, and a filter."""

    name: str = ""
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


class Claim(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """A mark that the viewer found equal: it claims that its range is complete.

    ``seq`` is the last one discovered when it arrived; ``NEVER`` where it can't be compared with
    the seqs of the shown events.
    """

    from_: int
    through: int
    scanned_at: int
    target: str | int | None = None
    seq: int = NEVER


class Record(msgspec.Struct):
    """The events that a viewer shows, in display order, with its claims and declared ranges.

    Attributes:
        declared: The ranges that it declares incomplete.
        altered: The ranges of which it says, or once said, that CloudWatch returns other texts.
    """

    targets: list[Target] = []
    shown: list[Shown] = []
    claims: list[Claim] = []
    declared: list[tuple[int, int]] = []
    altered: list[tuple[int, int]] = []

    def requests(self, stream: str, timestamp: int, message: str) -> bool:
        """Whether the viewer requested an event; without targets it requested all."""
        # A loop, as this is asked about each accepted event.
        for one in self.targets:
            if one.requests(stream, timestamp, message):
                return True
        return not self.targets

    def covers(self, claim: Claim, stream: str, message: str) -> bool:
        """Whether a claim covers such an event of that stream."""
        if isinstance(claim.target, int):
            mine = self.targets[claim.target : claim.target + 1]
        else:
            mine = [one for one in self.targets if one.name == claim.target]
        return not self.targets or any(one.selects(stream, message) for one in mine or self.targets)

    def declares(self, timestamp: int) -> bool:
        """Whether the viewer itself declares events missing at that time."""
        return any(low <= timestamp <= high for low, high in self.declared)

    def declares_altered(self, timestamp: int) -> bool:
        """Whether the viewer itself declares texts altered at that time."""
        return any(low <= timestamp <= high for low, high in self.altered)


def read_record(lines: Iterable[str | bytes]) -> Record:
    """Parse a record from lines of NDJSON; lines of unknown types are ignored.

    Raises:
        SimulatorError: it is not a record; the text names the line and the error.
    """
    record: Record | None = None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = _parse(line)
            if record is None:
                record = _header(fields)
            else:
                _add_line(record, fields)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            msg = f"line {number} is not of a viewer's record: {reason[:200]}"
            raise SimulatorError(msg) from error
    if record is None:
        msg = "the record is empty: even a record without events begins with its header"
        raise SimulatorError(msg)
    return record


def _parse(line: str | bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Parse a line, in which no key may stand twice.

    A line that is the same when it is written again has none; so are those of our viewer, which
    take a third of the time like this.
    """
    data = line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass")
    with contextlib.suppress(ValueError, RecursionError):
        fields = _FAST_DECODER.decode(data)
        if encode(fields) == data.strip():
            return fields
    return _DECODER.decode(data.decode("utf-8", "surrogatepass"))


def _header(fields: dict[str, Any]) -> Record:
    if fields["type"] != "record" or fields["version"] != RECORD_VERSION:
        msg = f'it must begin with {{"type": "record", "version": {RECORD_VERSION}, ...}}'
        raise ValueError(msg)
    return Record(targets=[_target(one) for one in fields.get("targets", [])])


def _target(fields: str | dict[str, Any]) -> Target:
    if isinstance(fields, str):
        return Target(name=fields)
    names = fields.get("filter") or fields
    return Target(
        name=str(fields.get("name", "")),
        since=msgspec.convert(fields.get("since"), type=int | None),
        filter=Filter(
            _texts(names.get("streams")),
            _texts(names.get("executions")),
            _texts(names.get("prefixes")),
            _pattern(names.get("pattern")),
        ),
    )


def _pattern(value: object) -> str:
    """A filter pattern, which the language must know."""
    pattern = msgspec.convert(value or "", type=str)
    parse(pattern)
    return pattern


@lru_cache(maxsize=64)
def _matcher(pattern: str) -> Matches:
    parsed = parse(pattern)
    return (lambda _: True) if parsed is None else compile_filter(parsed)


def _matches(pattern: str, message: str) -> bool:
    return not pattern or _matcher(pattern)(message)


def _texts(value: object) -> tuple[str, ...]:
    return msgspec.convert(value or (), type=tuple[str, ...])


def _add_line(record: Record, fields: dict[str, Any]) -> None:
    kind = fields["type"]
    if kind == "event":
        record.shown.append(_shown(fields))
    elif kind == "mark":
        if fields["equal"]:
            claim = msgspec.convert(fields, type=Claim)
            if fields.get("confirmed") is not True:
                claim = msgspec.structs.replace(claim, seq=NEVER)
            record.claims.append(claim)
    elif kind in {"lost", "gap"}:
        span = msgspec.convert((fields["from"], fields["through"]), type=tuple[int, int])
        if kind == "lost" or fields["state"] not in _UNDECLARED_STATES:
            record.declared.append(span)
        if str(fields.get("reason", "")).startswith(_ALTERED):
            record.altered.append(span)


def _shown(fields: dict[str, Any]) -> Shown:
    event_id, timestamp = fields["id"], fields["timestamp"]
    stream, message = fields["log_stream"], fields["message"]
    if type(event_id) is not str or type(timestamp) is not int:
        msg = "id must be a string and timestamp a number of ms"
        raise WireError(msg)
    if type(stream) is not str or type(message) is not str:
        msg = "log_stream and message must be strings"
        raise WireError(msg)
    return Shown(
        key_of(timestamp, event_id),
        event_id,
        stream,
        timestamp,
        message,
        # Lines printed before a restart of the viewer have no ``confirmed``.
        msgspec.convert(fields["seq"], type=int) if fields.get("confirmed") is True else 0,
    )
