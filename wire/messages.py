"""Messages and HTTP bodies of the protocol as typed structs; times in ms since the Unix epoch."""

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
"""Decimal, at most 57 digits; every receiver calls ``order.key_of``, which checks that."""

Origin = Literal["live", "backfill", "repair"]
Outcome = Literal["fresh", "resumed", "rebased"]
UpstreamState = Literal["ok", "delayed", "throttled", "unreachable"]
UpstreamCode = Literal[
    "credentials_expired",
    "credentials_refused",
    "access_denied",
    "group_missing",
    "clock_wrong",
    "throttled",
    "unanswered",
    "unreachable",
    "delayed",
]
GapState = Literal["suspected", "repairing", "repaired", "unrecoverable"]
ExecutionStatus = Literal["SUCCEEDED", "FAILED", "STOPPED", "UNKNOWN"]


class Item(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One log event; in JSON ``[seq, id, timestamp, ingestion_time, stream, message, origin]``."""

    seq: Annotated[int, Meta(ge=1, le=SEQ_MAX)]
    id: EventId
    timestamp: Millis
    ingestion_time: Millis | None
    stream: str
    message: str
    origin: Origin


class Lost(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """A time range with events whose content can no longer be obtained, and the reason."""

    from_: Millis
    through: Millis
    reason: str = ""


class Upstream(msgspec.Struct, frozen=True, omit_defaults=True):
    """State of the forwarder's connection to CloudWatch Logs."""

    state: UpstreamState
    lag_ms: int | None = msgspec.field(default_factory=lambda: None)  # sent even if null
    """None when unknown; negative when the forwarder's clock is behind."""
    code: str = ""
    """What is wrong: an ``UpstreamCode``, or one of a newer forwarder; empty while it is ok."""
    reason: str = ""
    """What is wrong, where, and what to do about it, in one line; empty while it is ok."""
    oldest: Millis | None = None
    """Time before which CloudWatch has no events of the log group; None: unknown."""
    retention_ms: Count | None = None
    """How long CloudWatch keeps the log group's events; None: for ever, or unknown."""


class _NumberedMessage(msgspec.Struct, kw_only=True):
    """Base of all server messages: ``n`` counts them from 1, without gaps, per connection."""

    n: Annotated[int, Meta(ge=1, le=SEQ_MAX)] = 1


class Welcome(_NumberedMessage, tag="welcome", tag_field="type", kw_only=True):
    """First message of a connection: whether the cursor was resumed, and what is lost."""

    protocol: int = PROTOCOL_VERSION
    epoch: str
    outcome: Outcome
    after: Seq
    head_seq: Seq
    since: Millis
    heartbeat_ms: Annotated[int, Meta(ge=1, le=600_000)]
    lost: list[Lost] = []
    extends: bool = False
    """Whether the forwarder accepts ``extend``."""


class Events(_NumberedMessage, tag="events", tag_field="type", kw_only=True):
    """Events of the seq range ``(after, seq]``; with ``after == seq`` the cursor does not move."""

    after: Seq
    seq: Seq
    items: list[Item]


class Backfill(_NumberedMessage, tag="backfill", tag_field="type", kw_only=True):
    """Progress of the backfill; ``held`` is the interval of history sent so far, as ``K..K``."""

    held: str
    total: Count | None = None
    done: bool = False
    since: Millis | None = None
    """Start of the history that this is about, which ``extend`` moves."""


class Heartbeat(_NumberedMessage, tag="heartbeat", tag_field="type", kw_only=True):
    """Sent at least every ``heartbeat_ms``, so that silence always means a dead connection."""

    head_seq: Seq
    sent_seq: Seq
    upstream: Upstream


class Mark(_NumberedMessage, tag="mark", tag_field="type", rename={"from_": "from"}, kw_only=True):
    """All events have been delivered that a whole scan of ``[from_, through]`` returned.

    ``scanned_at`` is the time at which that scan began.
    """

    from_: Millis
    through: Millis
    scanned_at: Millis
    seq: Seq
    count: Count
    digest: Digest16


class Gap(_NumberedMessage, tag="gap", tag_field="type", rename={"from_": "from"}, kw_only=True):
    """A range that is or may be incomplete, and the state of its repair."""

    id: str
    from_: Millis
    through: Millis
    state: GapState
    reason: str = ""
    recovered: Count = 0


class AlteredText(msgspec.Struct, frozen=True, omit_defaults=True):
    """Another text that CloudWatch returns under the id of an event that was sent.

    Without ``message``, CloudWatch returns the text that was sent again.
    """

    id: EventId
    timestamp: Millis
    message: str | None = None
    """The start of the text."""
    length: Count = 0
    """Characters of the whole text."""


class Altered(_NumberedMessage, tag="altered", tag_field="type", kw_only=True):
    """Changes of altered texts, and how many events are altered now, kept texts or not."""

    texts: list[AlteredText]
    count: Count


class DigestReply(
    _NumberedMessage, tag="digest", tag_field="type", rename={"from_": "from"}, kw_only=True
):
    """Answer to ``verify``, and conclusion of a ``repair``."""

    from_: Millis
    through: Millis
    seq: Seq
    count: Count
    digest: Digest16


class End(_NumberedMessage, tag="end", tag_field="type", rename={"from_": "from"}, kw_only=True):
    """An execution has ended and all events of its log stream have been delivered."""

    execution: str
    status: ExecutionStatus
    from_: Millis
    through: Millis
    seq: Seq
    count: Count
    digest: Digest16


class Bye(_NumberedMessage, tag="bye", tag_field="type", kw_only=True):
    """Last message before the close frame."""

    reason: str
    retry_after_ms: Count = 0


class UnknownMessage(msgspec.Struct):
    """A server message of an unknown type: its ``n`` counts, the rest is ignored."""

    type: str
    n: Annotated[int, Meta(ge=1, le=SEQ_MAX)]


ServerMessage = (
    Welcome | Events | Backfill | Heartbeat | Mark | Gap | Altered | DigestReply | End | Bye
)


class Credit(msgspec.Struct, tag="credit", tag_field="type"):
    """How many events the client accepts in total since the connection opened."""

    events: Count


class Verify(msgspec.Struct, tag="verify", tag_field="type", rename={"from_": "from"}):
    """Asks for the digest of a range, as of the point in the stream where the answer is sent."""

    from_: Millis
    through: Millis


class Repair(msgspec.Struct, tag="repair", tag_field="type", rename={"from_": "from"}):
    """Asks to resend a range without moving the cursor, and then for its digest."""

    from_: Millis
    through: Millis


class Extend(msgspec.Struct, tag="extend", tag_field="type"):
    """Asks for more history: from now on ``since`` is this time, which is an earlier one."""

    since: Millis


ClientMessage = Credit | Verify | Repair | Extend


class LogsPage(msgspec.Struct):
    """Body of ``GET /v1/logs``; ``next`` is None on the last page."""

    epoch: str
    head_seq: Seq
    next: str | None
    complete_through: Millis | None
    items: list[Item]


class DigestBody(
    msgspec.Struct, tag="digest", tag_field="type", rename={"from_": "from"}, kw_only=True
):
    """Body of ``GET /v1/digest``: the message ``digest``, to which our forwarder adds the epoch."""

    epoch: str | None = None
    from_: Millis
    through: Millis
    seq: Seq
    count: Count
    digest: Digest16


class DeclaredGap(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """A gap in the body of ``GET /v1/declared``, as in the message ``gap``."""

    id: str
    from_: Millis
    through: Millis
    state: GapState
    reason: str
    recovered: Count


class DeclaredBody(msgspec.Struct):
    """Body of ``GET /v1/declared``: gaps, altered events, and the state of CloudWatch.

    The gaps are all that are not repaired.
    """

    epoch: str
    gaps: list[DeclaredGap]
    texts: list[AlteredText]
    count: Count
    """Altered events, also of those whose text is not among ``texts``."""
    upstream: Upstream | None = None
    """As in heartbeats; None from forwarders that do not say it."""


class ExecutionSummary(msgspec.Struct):
    """One element of ``GET /v1/executions``."""

    execution: str
    stream: str
    status: Literal["RUNNING", "SUCCEEDED", "FAILED", "STOPPED", "UNKNOWN"]
    first: Millis | None
    last: Millis | None
    count: Count


class HttpError(msgspec.Struct):
    """Body of every HTTP refusal; ``epoch`` only with 409."""

    error: str
    epoch: str | None = None
