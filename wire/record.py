"""A viewer's record (``--record FILE``): its entries as typed structs, one in each line of JSON.

The order is ``record`` first, ``event`` in display order, what was verified and what is missing,
the course of the run, and ``status`` last. Times are in ms since the Unix epoch, ranges include
both ends, and ``target`` is a position in the header's list.

A field with a default may be missing: earlier versions, and other viewers, do not write all of
them. One that is ``UNSET`` is left out when written. Fields of later versions are ignored.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wire.limits import TIMESTAMP_MAX
from wire.messages import ExecutionStatus, Origin, Outcome
from wire.query import Filter

RECORD_VERSION: Final = 1

TARGETS_MAX: Final = 255
"""Most targets in one viewer: their numbers have 8 bits, and the last one is that of rules."""

TargetState = Literal[
    "failed",
    "reconnecting",
    "polling",
    "connecting",
    "backfilling",
    "live",
    "quiet",
    "ended",
]
"""A target's state. quiet: connected, without new lines; polling: lines come only over HTTP."""

RuleKind = Literal[
    "offline",
    "gap",
    "lost",
    "unequal",
    "rebased",
    "evicted",
    "end",
    "resumed",
    "joined",
    "left",
    "older",
]

Time = Annotated[int, Meta(ge=0, le=TIMESTAMP_MAX)]
Number = Annotated[int, Meta(ge=0, lt=TARGETS_MAX)]
Count = Annotated[int, Meta(ge=0)]


class Entry(msgspec.Struct, tag_field="type", gc=False, rename={"from_": "from"}):
    """An entry; ``type`` says which."""


class Moment(Entry, kw_only=True):
    """What changed for a target at a moment."""

    target: Number = 0
    at: Time


class HeaderTarget(msgspec.Struct):
    """A log group of a forwarder: the address, and what the viewer asks it for."""

    name: str = ""
    url: str = ""
    group: str | None = None
    since: Time | None = None
    filter: Filter = Filter()


class Header(Entry, tag="record"):
    """The first entry; ``began`` is when the viewer started. Targets may be names alone."""

    version: int
    began: Time | UnsetType | None = UNSET
    targets: list[HeaderTarget | str] = []


class Event(Entry, tag="event", kw_only=True):
    """A displayed line: an event of CloudWatch.

    Attributes:
        seq: Where the forwarder discovered it; 0: unknown.
        late: Whether its time had been verified before it came.
        late_ms: Ingestion time less timestamp of a late one.
        confirmed: Whether it belongs to the present epoch's chain, so that its seq can be compared;
            None: not said, as by a line that was printed.
        arrived: When it came; missing where that is not known, as for most of the history.
        recalled: Whether it was evicted, and fetched for the record.
    """

    target: Number = 0
    seq: Count = 0
    id: str
    timestamp: Time
    ingestion_time: Time | None = None
    log_group: str | None = None
    log_stream: str
    message: str
    origin: Origin = "live"
    late: bool = False
    late_ms: Count | UnsetType = UNSET
    confirmed: bool | None = None
    arrived: Time | UnsetType | None = UNSET
    recalled: bool | UnsetType = UNSET


class Mark(Entry, tag="mark", kw_only=True):
    """A mark of the forwarder: a range that a whole scan returned, which began at ``scanned_at``.

    Attributes:
        seq: The last one discovered when it came.
        count: Events in the range, by the forwarder; ``digest`` is their checksum.
        equal: Whether the viewer had the same; if not, it claims nothing.
        confirmed: As for an event.
    """

    target: Number = 0
    from_: Time
    through: Time
    scanned_at: Time
    seq: int = 0
    count: int = 0
    digest: str = ""
    equal: bool = False
    confirmed: bool | None = None


class Connection(Moment, tag="connection", kw_only=True):
    """A connection that the forwarder accepted."""

    outcome: Outcome
    epoch: str = ""


class Gap(Entry, tag="gap", kw_only=True):
    """A gap as it was at the end, or a range that compared unequal, in the state ``unproved``.

    ``recovered`` is the number of lines that its repair found.
    """

    target: Number = 0
    id: str = ""
    from_: Time
    through: Time
    state: str
    reason: str = ""
    recovered: Count = 0


class Lost(Entry, tag="lost", kw_only=True):
    """A range whose events no longer exist."""

    target: Number = 0
    from_: Time
    through: Time
    reason: str = ""


class Altered(Entry, tag="altered", kw_only=True):
    """The start of the text that CloudWatch returned later for an event, and its whole length.

    ``message`` is None where CloudWatch returns the displayed text again.
    """

    target: Number = 0
    id: str
    timestamp: Time
    message: str | None = None
    length: Count | None = None


class Evicted(Entry, tag="evicted", kw_only=True):
    """Lines that the record does not contain, and why they could not be fetched."""

    count: Count = 0
    from_: Time
    through: Time
    reason: str | UnsetType = UNSET


class State(Moment, tag="state", kw_only=True):
    """A change of a target's state; ``detail`` is the words beside it then."""

    state: TargetState
    detail: str = ""


class SecondEntry(Moment, tag="second", kw_only=True):
    """The lines that arrived in a second which begins at ``at``.

    Attributes:
        late: Those for a time already verified.
        repaired: Those that only a scan found.
        lag: Longest time from CloudWatch's acceptance to the arrival, ms.
    """

    lines: int = 0
    late: int = 0
    repaired: int = 0
    lag: Count = 0


class Verified(Moment, tag="verified", kw_only=True):
    """A change of the time through which everything is verified; None: nothing is."""

    through: Time | None


class Upstream(Moment, tag="upstream", kw_only=True):
    """A change of CloudWatch's state; it is ``ok`` at first."""

    state: str
    reason: str = ""


class Detail(Moment, tag="detail", kw_only=True):
    """A change of the words beside the state."""

    detail: str


class AlteredLines(Moment, tag="altered_lines", kw_only=True):
    """A change of the number of altered lines."""

    count: Count


class Outage(Entry, tag="outage", kw_only=True):
    """A time without connection; ``through`` is None while it lasts.

    Attributes:
        code: The close code; None without a close frame.
        recovered: Lines that came afterwards; None until all of them are here.
        outcome: That of the next connection.
    """

    target: Number = 0
    from_: Time
    through: Time | None = None
    code: int | None = None
    reason: str = ""
    recovered: Count | None = None
    outcome: Outcome | None = None


class RuleChange(Entry, tag="rule", kw_only=True):
    """A rule between the lines as it came or changed at ``at``; the rest is as on screen.

    ``timestamp`` and ``number`` say where it stands; they name the rule. Without ``target`` it is
    about all of them.
    """

    target: Number | None = None
    at: Time
    kind: RuleKind
    timestamp: Time
    number: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    from_: Time
    through: Time | None = None
    state: str = ""
    reason: str = ""
    count: Count | None = None


class End(msgspec.Struct):
    """The end of an execution, its events by the forwarder, and whether the viewer has the same."""

    execution: str
    status: ExecutionStatus
    from_ms: int = 0
    through_ms: int = 0
    count: int = 0
    equal: bool = False


class Ending(Entry, tag="status"):
    """The last entry: the status at the end, with numbers of lines; without it, the end is missing.

    Attributes:
        complete_through: Through when everything is verified; None: nothing is.
        provisional: Lines newer than that.
        missing: Lines that the forwarder has and the viewer lacks.
        duplicates: Events that were received again.
        unconfirmed: Lines that the present epoch has not confirmed.
        uncompared_before: Lines before this time can't be compared; None: all can.
    """

    ended: Time | None = None
    state: str = ""
    complete_through: int | None = None
    provisional: int = 0
    missing: int = 0
    lines: int = 0
    duplicates: int = 0
    late: int = 0
    repaired: int = 0
    unconfirmed: int = 0
    altered: int = 0
    uncompared_before: int | None = None
    ends: list[End] = []


AnyEntry = (
    Header | Event | Mark | Connection | Gap | Lost | Altered | Evicted | State | SecondEntry
    | Verified | Upstream | Detail | AlteredLines | Outage | RuleChange | Ending
)  # fmt: skip

_T = TypeVar("_T", bound=Entry)


class EntryReader(Generic[_T]):
    """Reads the lines of a record that are of some types."""

    def __init__(self, types: Any) -> None:  # noqa: ANN401 - a union is no type to mypy
        """``types`` is one of the entries, or a union of them."""
        self._decoder: msgspec.json.Decoder[_T] = msgspec.json.Decoder(types)
        self._tags = {one.__struct_config__.tag for one in get_args(types) or (types,)}

    def read(self, line: bytes | str) -> _T | None:
        """Return the entry of a line; None for one of another type.

        Raises:
            msgspec.DecodeError: It is no entry; a ``ValidationError`` says what is wrong with it.
            RecursionError: It is nested too deeply.
        """
        try:
            return self._decoder.decode(line)
        except msgspec.DecodeError:
            try:
                fields = json.loads(line)
            except ValueError:
                fields = None
            if not isinstance(fields, dict):
                raise
            tag = fields.get("type")
            if isinstance(tag, str) and tag not in self._tags:
                return None
            # Half of a surrogate pair, which texts may contain, is accepted by json alone.
            return msgspec.convert(fields, self._decoder.type)
