"""What the viewer knows about itself, as immutable snapshots; times in ms since the Unix epoch.

``Engine.status`` makes one on demand; the screen, plain output and the record only read it.

What the pure parts of the viewer ask their shell to do, or tell it has happened.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from tui.lines.rows import Line
from wire.messages import ClientMessage, ExecutionStatus, GapState, Outcome, UpstreamState

TargetState = Literal[
    "connecting",
    "backfilling",
    "live",
    "quiet",
    "polling",
    "reconnecting",
    "ended",
    "failed",
]
"""quiet: alive, nothing to say; polling: no WebSocket to be had, lines come over HTTP."""

STATE_LABELS: Final[dict[TargetState, str]] = {
    "connecting": "connecting",
    "backfilling": "backfilling",
    "live": "live",
    "quiet": "quiet",
    "polling": "degraded: polling",
    "reconnecting": "reconnecting",
    "ended": "ended",
    "failed": "failed",
}
"""How each state is called on screen."""

STATE_ORDER: Final[tuple[TargetState, ...]] = (
    "failed",
    "reconnecting",
    "polling",
    "connecting",
    "backfilling",
    "live",
    "quiet",
    "ended",
)
"""Worst first: of several targets the screen's one word is the first that any of them is in."""


class Progress(msgspec.Struct, frozen=True):
    """How far the past has come."""

    received: int
    """Events of the past received on this connection."""
    total: int | None
    """Events that the past has, where the forwarder knows."""
    reached_ms: int | None
    """How far back (newest first) or on (oldest first) the past is held."""


class GapStatus(msgspec.Struct, frozen=True):
    """A gap that the forwarder declared."""

    target: int
    id: str
    from_ms: int
    through_ms: int
    state: GapState
    reason: str
    recovered: int


class LostRange(msgspec.Struct, frozen=True):
    """A range whose events can't be had any more."""

    target: int
    from_ms: int
    through_ms: int
    reason: str


class UnprovedRange(msgspec.Struct, frozen=True):
    """A range in which the viewer's events are not the forwarder's: red."""

    target: int
    from_ms: int
    through_ms: int
    missing: int
    """The forwarder's count less the viewer's; at least 1 where only the content differs."""
    final: bool
    """Sent again once already and still unequal: reported, not retried (rule [13])."""


class MarkStatus(msgspec.Struct, frozen=True):
    """A mark as it compared when it came."""

    target: int
    from_ms: int
    through_ms: int
    scanned_at_ms: int
    seq: int
    count: int
    digest: str
    own_count: int
    own_digest: str
    equal: bool
    era: int = 0
    """Rebases of its target before it came."""


class Outage(msgspec.Struct, frozen=True):
    """One disconnection: how long, why, and what came back."""

    began_ms: int
    ended_ms: int | None
    """None while it lasts."""
    code: int | None
    """The close code; None where there was no close frame."""
    reason: str
    recovered: int | None
    """New lines brought by the resume; None until all of them are here."""
    outcome: Outcome | None
    """How the forwarder took the viewer back."""


class ConnectionEntry(msgspec.Struct, frozen=True):
    """A connection that the forwarder took up."""

    at_ms: int
    outcome: Outcome
    epoch: str


class HistoryEntry(msgspec.Struct, frozen=True):
    """A change of state."""

    at_ms: int
    state: TargetState
    detail: str


class EndStatus(msgspec.Struct, frozen=True):
    """The end of an execution, as the forwarder told it."""

    execution: str
    status: ExecutionStatus
    from_ms: int
    through_ms: int
    count: int
    equal: bool
    """Whether the viewer holds exactly those events."""


class TargetStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One target (one log group of one forwarder)."""

    target: int
    """Its place in the list of targets, which its lines' keys hold."""
    name: str
    url: str
    group: str | None
    state: TargetState
    state_since_ms: int
    detail: str
    """One line for a person: why it is reconnecting, what was refused, and what to do."""
    attempt: int
    """Connection attempts since it was last live; 0 while connected."""
    retry_at_ms: int | None
    """When the next attempt begins."""
    progress: Progress | None
    """Only while backfilling."""
    epoch: str | None
    after: int | None
    """The cursor: the seq last stored."""
    head_seq: int | None
    generation: int
    since_ms: int | None
    complete_through_ms: int | None
    """T: proved complete from ``since_ms`` through this; None where nothing is proved yet."""
    provisional: int
    """Events shown that are above T."""
    missing: int
    """Events that the forwarder is known to have and the viewer has not."""
    unproved: tuple[UnprovedRange, ...]
    gaps: tuple[GapStatus, ...]
    """Not repaired ones and the last few that were repaired, oldest first."""
    lost: tuple[LostRange, ...]
    events: int
    """Distinct events received, whether still in the timeline or not."""
    unconfirmed: int
    """Events shown that the present epoch has not confirmed (rule [6])."""
    duplicates: int
    """Items received again and not shown twice."""
    late: int
    """Events that came for a time already proved complete."""
    repaired: int
    """Events that came only by a reconciliation scan."""
    marks: int
    marks_unequal: int
    last_mark: MarkStatus | None
    malformed: int
    """Messages that could not be read."""
    upstream: UpstreamState | None
    upstream_lag_ms: int | None
    lag_ms: int | None
    """From an event's timestamp to the viewer, of the newest live events."""
    rate_per_s: float
    ends: tuple[EndStatus, ...]
    history: tuple[HistoryEntry, ...]
    """Newest last, bounded."""
    outages: tuple[Outage, ...]
    """Newest last, bounded."""
    connections: tuple[ConnectionEntry, ...] = ()
    """Newest last, bounded."""
    uncompared_ms: int | None = None
    """Before this, lines are shown that were not compared and can't be: there are too many."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """All targets together."""

    at_ms: int
    targets: tuple[TargetStatus, ...]
    state: TargetState
    """The worst of the targets', by ``STATE_ORDER``."""
    complete_through_ms: int | None
    """The least of the targets'; None while any has none."""
    provisional: int
    missing: int
    gaps: tuple[GapStatus, ...]
    lost: tuple[LostRange, ...]
    unproved: tuple[UnprovedRange, ...]
    lag_ms: int | None
    rate_per_s: float
    volume: tuple[int, ...]
    """Events received in each of the last 60 seconds, newest last."""
    volume_past: tuple[int, ...] = ()
    """Of those, the ones that came because the past was asked for."""
    lines: int
    """Lines in the timeline."""
    evicted: int
    """Lines dropped from its top to keep it within its bound."""
    evicted_through_ms: int | None
    events: int
    duplicates: int
    late: int
    repaired: int
    unconfirmed: int
    uncompared_ms: int | None = None
    """The latest of the targets'; None where everything that is shown can be compared."""

    @property
    def is_green(self) -> bool:
        """Whether everything up to T is proved and nothing at all is known to be missing."""
        return (
            self.complete_through_ms is not None
            and not self.unproved
            and not self.lost
            and not any(gap.state == "unrecoverable" for gap in self.gaps)
        )


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

    target: int
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
