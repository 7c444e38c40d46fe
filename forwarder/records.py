"""Records that the forwarder's rooms exchange; times in milliseconds since the Unix epoch."""

from __future__ import annotations

from typing import Literal

import msgspec

from wire.messages import ExecutionStatus, GapState, Item, Origin
from wire.query import Filter


class FeedKey(msgspec.Struct, frozen=True, order=True):
    """Identity of a feed, its journal and its hub.

    Attributes:
        group: The log group: its name, or its ARN if it belongs to a linked account.
        pattern: The server-side filter; empty for every event.
    """

    group: str
    pattern: str = ""


class LiveSource(msgspec.Struct, frozen=True):
    """The origin of a live path's record: the account, and the subscription filters it matched.

    A log group of the same name in another account, or another filter of the same log group (on
    transformed events, for example), is a different source, whose ids are compared separately.
    """

    owner: str
    filters: tuple[str, ...]


TokenVerdict = Literal["ok", "unknown", "denied"]
"""Result of checking a request's token: it covers the log group (``ok``); it is missing or unknown
(401); it does not cover the log group (403)."""


class LogEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as CloudWatch Logs returned it; a live path's has no ingestion time."""

    id: str
    timestamp: int
    ingestion_time: int | None
    stream: str
    message: str


class UnreadableEvent(msgspec.Struct, frozen=True):
    """An event of a reply that the protocol can't carry.

    ``text`` is the start of its id, or of the whole event. ``timestamp`` is in ms as CloudWatch
    sent it, or that of a neighbour in the page, and None where neither is known.
    """

    text: str
    timestamp: int | None
    why: str


class Row(msgspec.Struct, frozen=True, gc=False):
    """An event in the journal; ``message`` is None where retention removed the body."""

    seq: int
    id: str
    timestamp: int
    ingestion_time: int | None
    stream: str
    message: str | None
    origin: Origin
    digest: int

    def item(self) -> Item:
        """The row as the protocol sends it; the row must have its body."""
        assert self.message is not None, "the body must be refetched before the row is sent"
        return Item(
            self.seq,
            self.id,
            self.timestamp,
            self.ingestion_time,
            self.stream,
            self.message,
            self.origin,
        )


class RangeTotal(msgspec.Struct, frozen=True):
    """Count and digest (0 <= digest < 2**64) of the events in a range."""

    count: int
    digest: int


class EpochStart(msgspec.Struct, frozen=True):
    """A link of the journal's chain of epochs: an epoch and the first seq that it may assign."""

    epoch: str
    first_seq: int


class GapRecord(msgspec.Struct, frozen=True):
    """A declared gap, which the journal keeps until it is repaired."""

    id: str
    from_: int
    through: int
    state: GapState
    reason: str
    recovered: int
    streams: frozenset[str] | None = None
    """Log streams whose viewers it concerns, not kept in the journal's file; None: all."""

    def matches(self, filter_: Filter) -> bool:
        """Whether it concerns the viewers of a filter."""
        return self.streams is None or any(map(filter_.matches, self.streams))


class AlteredEvent(msgspec.Struct, frozen=True):
    """An event of which CloudWatch returns another text than the journal's, the first one.

    ``message`` is the start of that text, ``length`` its number of characters; None: CloudWatch
    returns the first text again.
    """

    seq: int
    id: str
    timestamp: int
    stream: str
    message: str | None
    length: int


class ScanDone(msgspec.Struct, frozen=True):
    """A completed scan that viewers get as a mark.

    The range is inclusive; ``scanned_at`` is when the scan began, ``head_seq`` the journal's last
    seq when it ended.
    """

    from_: int
    through: int
    scanned_at: int
    head_seq: int


class Retirement(msgspec.Struct, frozen=True):
    """How far one step of retention goes: positions, (timestamp, id), inclusive; None: nowhere."""

    strays: tuple[int, str] | None
    """Among the bodies that were added or restored behind the end of earlier steps."""
    rows: tuple[int, str] | None
    """Among all others."""


class KnownRow(msgspec.Struct, frozen=True, gc=False):
    """The fields of a row in the journal that deduplication and the comparison of texts need."""

    seq: int
    timestamp: int
    stream: str
    has_body: bool
    is_lost: bool
    digest: int


class ExecutionEnd(msgspec.Struct, frozen=True):
    """The end of an execution whose events have all been read.

    The range is that of its events' timestamps; ``head_seq`` is the journal's last seq by then.
    """

    execution: str
    status: ExecutionStatus
    from_: int
    through: int
    head_seq: int


class Reset(msgspec.Struct, frozen=True):
    """The journal began a new chain; every viewer gets ``bye`` and reconnects."""

    epoch: str
    reason: str


class TextsChanged(msgspec.Struct, frozen=True):
    """CloudWatch returns other texts than before; those beyond a bound are only counted."""

    events: tuple[AlteredEvent, ...]


Notice = ScanDone | GapRecord | TextsChanged | ExecutionEnd | Reset
"""A change in a log group that its viewers' sessions must learn of, in order."""
