"""A subscription filter's record, from bytes to events. Pure, and never raises.

``gzip({messageType, owner, logGroup, logStream, subscriptionFilters, logEvents: [{id, timestamp,
message}]})`` (AWS user guide, "Subscription filters with Kinesis"); moto's ids are integers. Who
can write to the Kinesis stream can put anything into it, a bomb for one: sizes are bounded.

What a live path hands over, and what it hands it to. Times are ms since the Unix epoch.
"""

from __future__ import annotations

import json
import zlib
from typing import Any, Final, Literal, Protocol

import msgspec

from forwarder.records import LiveSource, LogEvent
from wire.limits import ID_DIGITS_MAX, TIMESTAMP_MAX

LiveState = Literal["poll", "hints", "live", "late", "down"]
"""How a log group's news come in.

- ``poll``: there is no live path; polls bring them.
- ``hints``: one is read, but its ids are not known to be those of scans: its records say "scan
  now" and are no rows.
- ``live``: its records are rows, and in time.
- ``late``: they are rows, but it has missed something lately, or is behind.
- ``down``: it can't be read at present.
"""


class Delivery(msgspec.Struct, frozen=True):
    """The events of one record."""

    group: str
    source: LiveSource
    events: list[LogEvent]
    refused: int = 0
    """Events of it that the protocol has no place for."""
    arrived_ms: int | None = None
    """When it reached the path, by the clock of AWS: by then its events were ingested."""


class Inlet(Protocol):
    """Where one log group's records go."""

    async def take(self, delivery: Delivery) -> None:
        """Take in a record.

        Raises:
            JournalError: the journal can't be written.

        """
        ...

    def hint(self) -> None:
        """A record came that can't be read: something may be new."""
        ...

    def heard(self, behind_ms: int) -> None:
        """The path was read just now; it is so far behind."""
        ...

    def broken(self, why: str) -> None:
        """The path can't be read; ``why`` is one line for a person."""
        ...


class LivePath(Protocol):
    """One live path, which may serve several log groups."""

    counts: Counts

    async def run(self, inlets: dict[str, Inlet]) -> None:
        """Read until cancelled, and hand everything to the inlet of its log group.

        Raises:
            JournalError: a journal can't be written. What ails the path is never raised.

        """
        ...


class Counts(msgspec.Struct):
    """What a live path has read and what it could not use."""

    records: int = 0
    malformed: int = 0
    too_large: int = 0
    control: int = 0
    foreign: int = 0
    """Records of log groups that are not served here."""
    throttled: int = 0
    errors: int = 0


Decoded = Delivery | Literal["control", "malformed", "too large"]

"""What became of a record's bytes."""


RECORD_BYTES_MAX: Final = 10 << 20
"""The largest record that Kinesis takes (GetRecords, "large records")."""

DECODED_BYTES_MAX: Final = 32 << 20
"""A record of 1 MiB at a ratio of 32: more than logs compress to, little enough to hold."""

_GZIP: Final = 31
"""zlib's window bits for gzip with its header and checksum."""


class _Event(msgspec.Struct, frozen=True, gc=False):
    id: str | int
    timestamp: int
    message: str


class _Record(msgspec.Struct, frozen=True):
    messageType: str  # noqa: N815 - CloudWatch's names
    owner: str = ""
    logGroup: str = ""  # noqa: N815
    logStream: str = ""  # noqa: N815
    subscriptionFilters: tuple[str, ...] = ()  # noqa: N815
    logEvents: tuple[msgspec.Raw, ...] = ()  # noqa: N815


class _Whole(msgspec.Struct, frozen=True):
    """The usual record, all of whose events are as they should be: decoded in one go."""

    messageType: str  # noqa: N815
    owner: str
    logGroup: str  # noqa: N815
    logStream: str  # noqa: N815
    subscriptionFilters: tuple[str, ...]  # noqa: N815
    logEvents: tuple[_Event, ...]  # noqa: N815


_WHOLE: Final = msgspec.json.Decoder(_Whole)
_RECORD: Final = msgspec.json.Decoder(_Record)


def decode(data: bytes) -> Decoded:
    """A record's events, or what is the matter with it.

    Events that the protocol has no place for (an id that is no decimal number, a timestamp
    that is none) are left out and counted; the others of the record are good.
    """
    if len(data) > RECORD_BYTES_MAX:
        return "too large"
    text = _inflated(data)
    if isinstance(text, str):
        return "too large" if text == "too large" else "malformed"
    record = _parsed(text)
    if record is None:
        return "malformed"
    if record.messageType == "CONTROL_MESSAGE":
        return "control"
    if record.messageType != "DATA_MESSAGE" or not record.logGroup or not record.logStream:
        return "malformed"
    events = [
        LogEvent(one_id, one.timestamp, None, record.logStream, one.message)
        for one in map(_event, record.logEvents)
        if one is not None and (one_id := _id(one)) is not None
    ]
    source = LiveSource(record.owner, tuple(sorted(record.subscriptionFilters)))
    return Delivery(record.logGroup, source, events, len(record.logEvents) - len(events))


def _inflated(data: bytes) -> bytes | str:
    inflater = zlib.decompressobj(_GZIP)
    try:
        text = inflater.decompress(data, DECODED_BYTES_MAX)
    except zlib.error:
        return "malformed"
    if inflater.unconsumed_tail:
        return "too large"
    return text if inflater.eof else "malformed"


def _parsed(text: bytes) -> _Whole | _Record | None:
    try:
        return _WHOLE.decode(text)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return _RECORD.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _parsed_slowly(text)


def _parsed_slowly(text: bytes) -> _Record | None:
    """As the standard library does it: msgspec refuses lone surrogates, scans let them pass."""
    try:
        reply: Any = json.loads(text.decode("utf-8", "surrogatepass"))
        events = tuple(msgspec.Raw(json.dumps(one).encode()) for one in reply.pop("logEvents", ()))
        return msgspec.convert({**reply, "logEvents": events}, _Record)
    except (ValueError, TypeError, AttributeError, RecursionError):
        # json's and msgspec's errors are ValueErrors; the others: the text is no object.
        return None


def _event(one: _Event | msgspec.Raw) -> _Event | None:
    if isinstance(one, _Event):
        return one
    try:
        return msgspec.json.decode(one, type=_Event)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return msgspec.convert(json.loads(bytes(one)), _Event)
    except (ValueError, RecursionError):
        return None


def _id(event: _Event) -> str | None:
    """The id as scans have it: a decimal string; None where the protocol has no place for it."""
    text = str(event.id)
    if not (text.isascii() and text.isdecimal() and len(text) <= ID_DIGITS_MAX):
        return None
    if not 0 <= event.timestamp <= TIMESTAMP_MAX:
        return None
    return text.lstrip("0") or "0"
