"""Decodes the records that a subscription filter writes to Kinesis. Pure, and never raises.

A record is ``gzip({messageType, owner, logGroup, logStream, subscriptionFilters, logEvents: [{id,
timestamp, message}]})`` (AWS user guide, "Subscription filters with Kinesis"); moto's ids are
integers. Anyone who may write to the stream can write anything, for example a decompression bomb,
so sizes are bounded.
"""

from __future__ import annotations

import json
import zlib
from typing import Any, Final, Literal

import msgspec

from forwarder.records import LiveSource, LogEvent
from wire.limits import ID_DIGITS_MAX, TIMESTAMP_MAX

RECORD_BYTES_MAX: Final = 10 << 20
"""Largest record that Kinesis accepts (GetRecords, "large records")."""

DECODED_BYTES_MAX: Final = 32 << 20
"""Largest decompressed record: 1 MiB at a ratio of 32, more than logs compress to."""

_GZIP: Final = 31
"""zlib's window bits for gzip with header and checksum."""


class LiveBatch(msgspec.Struct, frozen=True):
    """The events of one record."""

    group: str
    source: LiveSource
    events: list[LogEvent]
    refused: int = 0
    """Events of the record that the protocol can't express."""
    arrived_ms: int | None = None
    """When the record reached Kinesis, by AWS's clock; its events were ingested before."""


Decoded = LiveBatch | Literal["control", "malformed", "too large"]
"""Result of decoding a record."""


class _RecordEvent(msgspec.Struct, frozen=True, gc=False):
    id: str | int
    timestamp: int
    message: str


class _LenientRecord(msgspec.Struct, frozen=True):
    """A record some of whose fields or events may be missing or invalid."""

    messageType: str  # noqa: N815 - CloudWatch's names
    owner: str = ""
    logGroup: str = ""  # noqa: N815
    logStream: str = ""  # noqa: N815
    subscriptionFilters: tuple[str, ...] = ()  # noqa: N815
    logEvents: tuple[msgspec.Raw, ...] = ()  # noqa: N815


class _ValidRecord(msgspec.Struct, frozen=True):
    """A record all of whose events are valid, which is the usual case: decoded in one go."""

    messageType: str  # noqa: N815
    owner: str
    logGroup: str  # noqa: N815
    logStream: str  # noqa: N815
    subscriptionFilters: tuple[str, ...]  # noqa: N815
    logEvents: tuple[_RecordEvent, ...]  # noqa: N815


_VALID_DECODER: Final = msgspec.json.Decoder(_ValidRecord)
_LENIENT_DECODER: Final = msgspec.json.Decoder(_LenientRecord)


def decode(data: bytes) -> Decoded:
    """Decode a record's events, or say why it has none.

    Events that the protocol can't express (the id is not a decimal number, the timestamp is out of
    range) are dropped and counted; the record's other events are kept.
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
    return LiveBatch(record.logGroup, source, events, len(record.logEvents) - len(events))


def _inflated(data: bytes) -> bytes | str:
    inflater = zlib.decompressobj(_GZIP)
    try:
        text = inflater.decompress(data, DECODED_BYTES_MAX)
    except zlib.error:
        return "malformed"
    if inflater.unconsumed_tail:
        return "too large"
    return text if inflater.eof else "malformed"


def _parsed(text: bytes) -> _ValidRecord | _LenientRecord | None:
    try:
        return _VALID_DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return _LENIENT_DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _parsed_slowly(text)


def _parsed_slowly(text: bytes) -> _LenientRecord | None:
    """Parse with the standard library: scans return lone surrogates, which msgspec rejects."""
    try:
        reply: Any = json.loads(text.decode("utf-8", "surrogatepass"))
        events = tuple(msgspec.Raw(json.dumps(one).encode()) for one in reply.pop("logEvents", ()))
        return msgspec.convert({**reply, "logEvents": events}, _LenientRecord)
    except (ValueError, TypeError, AttributeError, RecursionError):
        # json's and msgspec's errors are ValueErrors; the others mean that the text is no object.
        return None


def _event(one: _RecordEvent | msgspec.Raw) -> _RecordEvent | None:
    if isinstance(one, _RecordEvent):
        return one
    try:
        return msgspec.json.decode(one, type=_RecordEvent)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return msgspec.convert(json.loads(bytes(one)), _RecordEvent)
    except (ValueError, RecursionError):
        return None


def _id(event: _RecordEvent) -> str | None:
    """The id as scans return it, a decimal string; None if the protocol can't express the event."""
    text = str(event.id)
    if not (text.isascii() and text.isdecimal() and len(text) <= ID_DIGITS_MAX):
        return None
    if not 0 <= event.timestamp <= TIMESTAMP_MAX:
        return None
    return text.lstrip("0") or "0"
