"""The owner's status of a log group, which each renewal of its lease overwrites. Pure.

It holds what followers need besides the rows: what is proved, open gaps, the state of CloudWatch.
It is valid for a view that has applied its position: before, it would promise rows that the view
does not have yet.
"""

from __future__ import annotations

import json
from typing import Final

import msgspec
import zstandard

from forwarder.errors import JournalError
from forwarder.records import AlteredEvent, GapRecord, ScanDone
from wire.messages import Upstream

VERSION: Final = 1
"""The first byte; readers ignore fields that they do not know, so additions keep the version."""


class Report(msgspec.Struct, frozen=True):
    """The part of the status that the journal does not keep."""

    proved: tuple[ScanDone, ...] = ()
    """The latest completed scans, as viewers get them as marks."""
    altered: tuple[AlteredEvent, ...] = ()
    """Events of which CloudWatch returns another text than the journal's."""
    upstream: Upstream = Upstream("ok")
    """State of the owner's connection to CloudWatch Logs, with its reason."""
    is_ready: bool = False
    """Whether the owner has read the present once."""
    allowance_ms: int = 0
    """How long CloudWatch may take to show an event."""


class Status(msgspec.Struct, frozen=True):
    """The status as it was when the owner's log ended at a certain entry."""

    digest: bytes
    """The digest of that entry: a view of a log that was set back does not match."""
    chain_at: int
    """Position of the entry that began the chain; coverage says nothing about a later one."""
    coverage: tuple[tuple[int, int], ...]
    gaps: tuple[GapRecord, ...]
    report: Report = Report()


def encode(status: Status) -> bytes:
    """Encode a status; as JSON in ASCII, since texts may contain lone surrogates."""
    data = json.dumps(msgspec.to_builtins(status), separators=(",", ":")).encode()
    return bytes([VERSION]) + zstandard.ZstdCompressor(level=1).compress(data)


def decode(content: bytes) -> Status:
    """Decode a status.

    Raises:
        JournalError: A newer gapless wrote it, or it is damaged.
    """
    if content[:1] > bytes([VERSION]):
        msg = (
            f"the replicated journal has a status of version {content[0]}, this gapless knows"
            f" {VERSION}: upgrade gapless on this machine"
        )
        raise JournalError(msg)
    try:
        data = zstandard.ZstdDecompressor().decompress(content[1:])
        return msgspec.convert(json.loads(data), Status)
    except (ValueError, zstandard.ZstdError) as error:
        msg = f"the status of the replicated journal is damaged ({error}): check its database"
        raise JournalError(msg) from error
