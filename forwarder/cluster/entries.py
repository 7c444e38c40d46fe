"""The changes of a journal as entries of a log: kinds, encoding, and how batches are cut. Pure.

An entry's index is a version byte and a compressed pair: the digest of the entry before, and the
change. So the last digest identifies the whole log. Messages are apart, because retention removes
them while the rest of a row stays as long as its chain. What is overwritten rather than added is
not here but in the status: coverage and gaps.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Final

import msgspec
import zstandard

from forwarder.errors import JournalError
from forwarder.journal.database import from_blob, to_blob
from forwarder.records import LogEvent, Retirement
from wire.messages import ExecutionStatus, Origin

VERSION: Final = 1
"""The first byte of an index; a greater one means that a newer gapless wrote the entry."""

ENTRY_BYTES_MAX: Final = 1 << 20
"""Bytes of an entry before compression, except for a single event that is larger: an engine sends
an entry as a whole, and everybody holds it in memory."""

_LEVEL: Final = 1
"""zstd: half of level 3's time for a tenth more bytes."""

_EVENT_BYTES: Final = 80
"""An event in the index: its id of up to 57 digits, two times, a stream's number, a digest."""

_DIGEST_BYTES: Final = 8


class Append(msgspec.Struct, frozen=True, array_like=True, tag="append", gc=False):
    """New events, in columns, which compress better than rows; their messages are the bodies."""

    first_seq: int
    origin: Origin
    ids: list[str]
    timestamps: list[int]
    ingestion_times: list[int | None]
    names: list[bytes]
    """The log streams, without repetition."""
    streams: list[int]
    """For each event, the index of its log stream in ``names``."""
    digests: bytes


class BeginEpoch(msgspec.Struct, frozen=True, array_like=True, tag="epoch"):
    """The chain continues under a new epoch: another forwarder took over, or the same one again."""

    epoch: str


class BeginChain(msgspec.Struct, frozen=True, array_like=True, tag="chain"):
    """Everything before is forgotten; seq 1 follows, under a new epoch."""

    epoch: str


class Restore(msgspec.Struct, frozen=True, array_like=True, tag="restore"):
    """Messages come back into the rows of these ids; they are the bodies."""

    ids: list[str]


class MarkLost(msgspec.Struct, frozen=True, array_like=True, tag="lost"):
    """The bodies of these rows are lost."""

    ids: list[str]
    reason: bytes


class Retire(msgspec.Struct, frozen=True, array_like=True, tag="retire"):
    """Bodies are removed up to explicit positions, so that all views remove the same ones."""

    extent: Retirement


class Over(msgspec.Struct, frozen=True, array_like=True, tag="over"):
    """An execution has ended by a lifecycle rule; None: it has not, after all."""

    execution: bytes
    status: ExecutionStatus | None
    rule: bytes


Change = Append | BeginEpoch | BeginChain | Restore | MarkLost | Retire | Over

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(tuple[bytes, Change])
_BODIES: Final = msgspec.msgpack.Decoder(list[bytes])


def encode(previous: bytes, change: Change) -> bytes:
    """Encode the index of the entry that follows the one whose digest is ``previous``."""
    return bytes([VERSION]) + _compress(_ENCODER.encode((previous, change)))


def decode(index: bytes) -> tuple[bytes, Change]:
    """Decode an index: the digest of the entry before, and the change.

    Raises:
        JournalError: A newer gapless wrote it, or it is damaged.
    """
    if index[:1] > bytes([VERSION]):
        msg = (
            f"the replicated journal has an entry of version {index[0]}, this gapless knows"
            f" {VERSION}: upgrade gapless on this machine"
        )
        raise JournalError(msg)
    try:
        return _DECODER.decode(_decompress(index[1:]))
    except (msgspec.DecodeError, zstandard.ZstdError) as error:
        msg = f"an entry of the replicated journal is damaged ({error}): check its database"
        raise JournalError(msg) from error


def encode_bodies(messages: Sequence[bytes]) -> bytes:
    """Encode messages, which are UTF-8 with lone surrogates passed."""
    return _compress(_ENCODER.encode(messages))


def decode_bodies(bodies: bytes) -> list[bytes]:
    """Decode messages.

    Raises:
        JournalError: They are damaged.
    """
    try:
        return _BODIES.decode(_decompress(bodies))
    except (msgspec.DecodeError, zstandard.ZstdError) as error:
        msg = f"messages of the replicated journal are damaged ({error}): check its database"
        raise JournalError(msg) from error


def append_of(
    first_seq: int, events: Sequence[LogEvent], digests: Sequence[int], origin: Origin
) -> Append:
    """The change that appends events."""
    numbers: dict[str, int] = {}
    streams = [numbers.setdefault(event.stream, len(numbers)) for event in events]
    return Append(
        first_seq,
        origin,
        [event.id for event in events],
        [event.timestamp for event in events],
        [event.ingestion_time for event in events],
        [to_blob(name) for name in numbers],
        streams,
        b"".join([digest.to_bytes(_DIGEST_BYTES, "big") for digest in digests]),
    )


def events_of(change: Append) -> list[LogEvent]:
    """The events that a change appends, without their messages."""
    names = [from_blob(name) for name in change.names]
    streams = map(names.__getitem__, change.streams)
    columns = change.ids, change.timestamps, change.ingestion_times, streams
    return list(map(LogEvent, *columns, repeat("")))


def digests_of(change: Append) -> list[int]:
    """The digests of the events that a change appends."""
    data = change.digests
    return list(struct.unpack(f">{len(data) // _DIGEST_BYTES}Q", data))


def cut(messages: Sequence[bytes]) -> Iterator[slice]:
    """Cut a batch with these messages into slices that fit an entry."""
    start = size = 0
    for index, message in enumerate(messages):
        added = _EVENT_BYTES + len(message)
        if size + added > ENTRY_BYTES_MAX and index > start:
            yield slice(start, index)
            start, size = index, 0
        size += added
    if start < len(messages):
        yield slice(start, len(messages))


def _compress(data: bytes) -> bytes:
    # A checksum, since no digest covers the messages.
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(data)


def _decompress(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(data)
