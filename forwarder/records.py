"""What the forwarder's parts hand to one another; times in milliseconds since the Unix epoch."""

from __future__ import annotations

from typing import Literal

import msgspec

from wire.messages import ExecutionStatus, GapState, Item, Origin

CallOutcome = Literal["ok", "throttled", "unreachable"]
"""What came of one attempt at a call."""


class LiveSource(msgspec.Struct, frozen=True):
    """Who sent a record: the account, and the subscription filters that it matched.

    A log group of that name in another account, or another filter of the same group (on
    transformed events, for one), is another source, with ids of its own to be compared.
    """

    owner: str
    filters: tuple[str, ...]


TokenVerdict = Literal["ok", "unknown", "denied"]
"""The token covers it; there is none, or an unknown one (401); it does not cover it (403)."""


class LogEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as CloudWatch Logs (or a live path, without ingestion time) gave it."""

    id: str
    timestamp: int
    ingestion_time: int | None
    stream: str
    message: str


class Row(msgspec.Struct, frozen=True, gc=False):
    """An event in the journal; ``message`` is None where retention took the body."""

    seq: int
    id: str
    timestamp: int
    ingestion_time: int | None
    stream: str
    message: str | None
    origin: Origin
    digest: int

    def item(self) -> Item:
        """As the wire has it; only for a row that has its body."""
        assert self.message is not None, "a body must be fetched again before it is sent"
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
    """Count and digest (0 <= digest < 2**64) of the events of a range."""

    count: int
    digest: int


class EpochStart(msgspec.Struct, frozen=True):
    """A link of the chain: an epoch and the first seq that it may give out."""

    epoch: str
    first_seq: int


class GapRecord(msgspec.Struct, frozen=True):
    """A declared gap, as the journal keeps it until it is repaired."""

    id: str
    from_: int
    through: int
    state: GapState
    reason: str
    recovered: int


class ScanDone(msgspec.Struct, frozen=True):
    """A whole scan that may be marked: range (inclusive), begin, and the head when it ended."""

    from_: int
    through: int
    scanned_at: int
    head_seq: int


class KnownRow(msgspec.Struct, frozen=True, gc=False):
    """What the door needs of a row that is in the journal."""

    seq: int
    timestamp: int
    stream: str
    has_body: bool
    is_lost: bool


class ExecutionEnd(msgspec.Struct, frozen=True):
    """An execution is over and drained: its first and last timestamps, and the head by then."""

    execution: str
    status: ExecutionStatus
    from_: int
    through: int
    head_seq: int


class Reset(msgspec.Struct, frozen=True):
    """The journal began a new chain: every connection ends with ``bye``, and comes back."""

    epoch: str
    reason: str


Notice = ScanDone | GapRecord | ExecutionEnd | Reset
"""What the door has to say to the viewers' sessions, in the order in which it came about."""
