"""Every message of the protocol as a typed struct; times in milliseconds since the Unix epoch."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from wire.limits import PROTOCOL_VERSION, SEQ_MAX, TIMESTAMP_MAX

Seq = Annotated[int, Meta(ge=0, le=SEQ_MAX)]
Millis = Annotated[int, Meta(ge=0, le=TIMESTAMP_MAX)]
Count = Annotated[int, Meta(ge=0, le=SEQ_MAX)]
Digest16 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")]
EventId = str
"""Decimal, at most 57 digits: checked by ``order.key_of``, which every receiver calls anyway."""

Origin = Literal["live", "backfill", "repair"]
Outcome = Literal["fresh", "resumed", "rebased"]
UpstreamState = Literal["ok", "delayed", "throttled", "unreachable"]
GapState = Literal["suspected", "repairing", "repaired", "unrecoverable"]
ExecutionStatus = Literal["SUCCEEDED", "FAILED", "STOPPED", "UNKNOWN"]


class Item(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One log event, as ``[seq, id, timestamp, ingestion_time, stream, message, origin]``."""

    seq: Annotated[int, Meta(ge=1, le=SEQ_MAX)]
    id: EventId
    timestamp: Millis
    ingestion_time: Millis | None
    stream: str
    message: str
    origin: Origin


class Lost(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """A range of time whose events can't be had any more, and why."""

    from_: Millis
    through: Millis
    reason: str = ""


class Upstream(msgspec.Struct, frozen=True):
    """How the forwarder's way to CloudWatch Logs is."""

    state: UpstreamState
    lag_ms: int | None = None
    """None where a forwarder can't say; below 0 where its clock is behind."""


class _Numbered(msgspec.Struct, kw_only=True):
    """What every server message has: ``n``, dense from 1 over one connection."""

    n: Annotated[int, Meta(ge=1, le=SEQ_MAX)] = 1


class Welcome(_Numbered, tag="welcome", tag_field="type", kw_only=True):
    """The first message: the outcome of connecting, said aloud."""

    protocol: int = PROTOCOL_VERSION
    epoch: str
    outcome: Outcome
    after: Seq
    head_seq: Seq
    since: Millis
    heartbeat_ms: Annotated[int, Meta(ge=1, le=600_000)]
    lost: list[Lost] = []


class Events(_Numbered, tag="events", tag_field="type", kw_only=True):
    """Events that cover ``(after, seq]``; ``after == seq`` leaves the cursor where it is."""

    after: Seq
    seq: Seq
    items: list[Item]


class Backfill(_Numbered, tag="backfill", tag_field="type", kw_only=True):
    """``held`` is the whole interval of the past that was sent so far, as ``K..K``."""

    held: str
    total: Count | None = None
    done: bool = False


class Heartbeat(_Numbered, tag="heartbeat", tag_field="type", kw_only=True):
    """Quiet is quiet: sent at least every ``heartbeat_ms``."""

    head_seq: Seq
    sent_seq: Seq
    upstream: Upstream


class Mark(_Numbered, tag="mark", tag_field="type", rename={"from_": "from"}, kw_only=True):
    """A whole scan of ``[from_, through]`` begun at ``scanned_at`` has been delivered."""

    from_: Millis
    through: Millis
    scanned_at: Millis
    seq: Seq
    count: Count
    digest: Digest16


class Gap(_Numbered, tag="gap", tag_field="type", rename={"from_": "from"}, kw_only=True):
    """A range that the live path missed, and what became of it."""

    id: str
    from_: Millis
    through: Millis
    state: GapState
    reason: str = ""
    recovered: Count = 0


class DigestReply(
    _Numbered, tag="digest", tag_field="type", rename={"from_": "from"}, kw_only=True
):
    """The answer to ``verify``, and the close of a ``repair``."""

    from_: Millis
    through: Millis
    seq: Seq
    count: Count
    digest: Digest16


class End(_Numbered, tag="end", tag_field="type", rename={"from_": "from"}, kw_only=True):
    """An execution is over and its log stream is drained."""

    execution: str
    status: ExecutionStatus
    from_: Millis
    through: Millis
    seq: Seq
    count: Count
    digest: Digest16


class Bye(_Numbered, tag="bye", tag_field="type", kw_only=True):
    """The last message before the close frame."""

    reason: str
    retry_after_ms: Count = 0


class Unknown(msgspec.Struct):
    """A server message of a type that this version does not know: counted by ``n``, ignored."""

    type: str
    n: Annotated[int, Meta(ge=1, le=SEQ_MAX)]


ServerMessage = Welcome | Events | Backfill | Heartbeat | Mark | Gap | DigestReply | End | Bye


class Credit(msgspec.Struct, tag="credit", tag_field="type"):
    """Cumulative grant of events since the connection opened."""

    events: Count


class Verify(msgspec.Struct, tag="verify", tag_field="type", rename={"from_": "from"}):
    """Asks for the digest of a range, answered in stream position."""

    from_: Millis
    through: Millis


class Repair(msgspec.Struct, tag="repair", tag_field="type", rename={"from_": "from"}):
    """Asks for a range's events again, cursor-neutral, then for its digest."""

    from_: Millis
    through: Millis


ClientMessage = Credit | Verify | Repair


class LogsPage(msgspec.Struct):
    """The body of ``GET /v1/logs``; ``next`` is None at the end."""

    epoch: str
    head_seq: Seq
    next: str | None
    complete_through: Millis | None
    items: list[Item]


class RangeDigest(
    msgspec.Struct, tag="digest", tag_field="type", rename={"from_": "from"}, kw_only=True
):
    """The body of ``GET /v1/digest``: as the message ``digest``; our forwarder adds the epoch."""

    epoch: str | None = None
    from_: Millis
    through: Millis
    seq: Seq
    count: Count
    digest: Digest16


class Execution(msgspec.Struct):
    """One row of ``GET /v1/executions``."""

    execution: str
    stream: str
    status: Literal["RUNNING", "SUCCEEDED", "FAILED", "STOPPED", "UNKNOWN"]
    first: Millis | None
    last: Millis | None
    count: Count


class HttpError(msgspec.Struct):
    """The body of every refusal; ``epoch`` only with 409."""

    error: str
    epoch: str | None = None
