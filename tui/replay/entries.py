"""The entries of a record, as they are read; additions of later versions are ignored. Pure."""

from __future__ import annotations

import json
from typing import Annotated, Final

import msgspec

from tui.client.status import TargetState
from tui.lines.rows import TARGETS_MAX, RuleKind
from wire.limits import TIMESTAMP_MAX
from wire.messages import ExecutionStatus, Origin, Outcome

Time = Annotated[int, msgspec.Meta(ge=0, le=TIMESTAMP_MAX)]
Number = Annotated[int, msgspec.Meta(ge=0, lt=TARGETS_MAX)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Entry(msgspec.Struct, tag_field="type", gc=False):
    """An entry; ``type`` says which."""


class Restriction(msgspec.Struct):
    """The filter of a target, as far as a replay shows it."""

    pattern: str = ""


class HeaderTarget(msgspec.Struct):
    """A target, as the header names it."""

    name: str = ""
    url: str = ""
    group: str | None = None
    since: Time | None = None
    filter: Restriction = msgspec.field(default_factory=Restriction)


class Header(Entry, tag="record"):
    """The first entry."""

    version: int
    targets: list[HeaderTarget | str] = []
    began: Time | None = None


class Event(Entry, tag="event"):
    """A line."""

    id: str
    timestamp: Time
    log_stream: str
    message: str
    target: Number = 0
    seq: Count = 0
    ingestion_time: Time | None = None
    origin: Origin = "live"
    late: bool = False
    late_ms: Count = 0
    confirmed: bool = True
    arrived: Time | None = None


class RuleChange(Entry, tag="rule"):
    """A rule that came or changed."""

    at: Time
    kind: RuleKind
    timestamp: Time
    number: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    from_: Time = msgspec.field(name="from")
    target: Number | None = None
    through: Time | None = None
    state: str = ""
    reason: str = ""
    count: Count | None = None


class State(Entry, tag="state"):
    """A change of a target's state."""

    at: Time
    state: TargetState
    target: Number = 0
    detail: str = ""


class Verified(Entry, tag="verified"):
    """A change of the time through which everything is verified."""

    at: Time
    through: Time | None
    target: Number = 0


class Upstream(Entry, tag="upstream"):
    """A change of CloudWatch's state."""

    at: Time
    state: str
    target: Number = 0
    reason: str = ""


class Detail(Entry, tag="detail"):
    """A change of the words beside the state."""

    at: Time
    detail: str
    target: Number = 0


class AlteredLines(Entry, tag="altered_lines"):
    """A change of the number of altered lines."""

    at: Time
    count: Count
    target: Number = 0


class SecondEntry(Entry, tag="second"):
    """The lines that arrived in a second."""

    at: Time
    target: Number = 0
    lag: Count = 0


class Mark(Entry, tag="mark"):
    """A mark, and whether the viewer had the same."""

    from_: Time = msgspec.field(name="from")
    through: Time
    scanned_at: Time
    target: Number = 0
    seq: int = 0
    count: int = 0
    digest: str = ""
    equal: bool = False


class Connection(Entry, tag="connection"):
    """A connection that the forwarder accepted."""

    at: Time
    outcome: Outcome
    epoch: str = ""
    target: Number = 0


class Outage(Entry, tag="outage"):
    """A time without connection."""

    from_: Time = msgspec.field(name="from")
    through: Time | None = None
    target: Number = 0
    code: int | None = None
    reason: str = ""
    recovered: Count | None = None
    outcome: Outcome | None = None


class Gap(Entry, tag="gap"):
    """A gap as it was at the end, or a range that was not equal."""

    from_: Time = msgspec.field(name="from")
    through: Time
    state: str
    target: Number = 0
    reason: str = ""
    recovered: Count = 0


class Lost(Entry, tag="lost"):
    """A range whose events no longer exist."""

    from_: Time = msgspec.field(name="from")
    through: Time
    target: Number = 0
    reason: str = ""


class Altered(Entry, tag="altered"):
    """The text that CloudWatch returned later under the id of an event."""

    id: str
    timestamp: Time
    target: Number = 0
    message: str | None = None
    length: Count | None = None


class Evicted(Entry, tag="evicted"):
    """Lines that the record does not contain."""

    from_: Time = msgspec.field(name="from")
    through: Time
    count: Count = 0
    reason: str = ""


class End(msgspec.Struct):
    """The end of an execution."""

    execution: str
    status: ExecutionStatus
    from_ms: int = 0
    through_ms: int = 0
    count: int = 0
    equal: bool = False


class Ending(Entry, tag="status"):
    """The last entry."""

    ended: Time | None = None
    ends: list[End] = []


KnownEntry = (
    Header | Event | RuleChange | State | Verified | Upstream | Detail | AlteredLines | SecondEntry
    | Mark | Connection | Outage | Gap | Lost | Altered | Evicted | Ending
)  # fmt: skip

_decoder = msgspec.json.Decoder(KnownEntry)


def decode(text: bytes) -> object:
    """Return the entry of a line.

    Raises:
        msgspec.DecodeError: It is no entry; a ``ValidationError`` says what is wrong with it.
    """
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # Half of a surrogate pair, which texts may contain, is accepted by the library alone.
        try:
            return msgspec.convert(json.loads(text), KnownEntry)
        except ValueError as error:
            raise msgspec.DecodeError(str(error)) from error


KINDS: Final = frozenset(str(one.__struct_config__.tag) for one in Entry.__subclasses__())
"""The types of entries that this version knows."""
