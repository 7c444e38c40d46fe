"""What the pure parts of the viewer ask their shell to do, or tell it has happened."""

from __future__ import annotations

import msgspec

from tui.client.status import EndStatus, GapStatus, LostRange, MarkStatus, UnprovedRange
from tui.lines.rows import Line
from wire.messages import ClientMessage, Outcome


class Stored(msgspec.Struct, frozen=True):
    """Events taken in: the tally has them, and the cursor may stand behind them."""

    lines: list[Line]
    """Events that were not known."""
    confirmed: list[Line]
    """Known ones under a new seq or content: they replace the rows of the same key."""


class Send(msgspec.Struct, frozen=True):
    """A message to the forwarder, over the connection that is open."""

    message: ClientMessage


class Close(msgspec.Struct, frozen=True):
    """Close the connection; ``final`` says not to come back."""

    code: int
    reason: str
    final: bool = False


class Welcomed(msgspec.Struct, frozen=True):
    """The forwarder took the viewer in."""

    outcome: Outcome
    epoch: str
    again: bool
    """Not the first time."""


class Rebased(msgspec.Struct, frozen=True):
    """All lines of a target shown so far are unconfirmed; ``era`` is the number of the new era."""

    lane: int
    era: int
    reason: str


class Unconfirmed(msgspec.Struct, frozen=True):
    """Lines that a repair did not bring again."""

    keys: list[int]


class Marked(msgspec.Struct, frozen=True):
    """A mark came and was compared."""

    mark: MarkStatus


class GapSeen(msgspec.Struct, frozen=True):
    """A gap was declared, or is in another state than before."""

    gap: GapStatus


class LostSeen(msgspec.Struct, frozen=True):
    """A range can't be had any more."""

    lost: LostRange


class Unproved(msgspec.Struct, frozen=True):
    """A range compared unequal; where ``range.final``, for the second time."""

    range: UnprovedRange


class CaughtUp(msgspec.Struct, frozen=True):
    """All that was owed for the time without connection is here."""

    recovered: int


class Ended(msgspec.Struct, frozen=True):
    """An execution is over; told again when its count or its proof changes."""

    end: EndStatus


Effect = (
    Stored
    | Send
    | Close
    | Welcomed
    | Rebased
    | Unconfirmed
    | Marked
    | GapSeen
    | LostSeen
    | Unproved
    | CaughtUp
    | Ended
)
