"""Immutable snapshots of the viewer's status, and the effects of its pure parts.

``Engine.status`` makes a ``Status`` on demand; the screen, plain output and the record read it.
An ``Effect`` is what the session asks its shell to do, or reports to it; a status among the
effects, such as a gap's, has just come or changed. Times are in ms since the Unix epoch.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from tui.lines.rows import Line
from wire.messages import ClientMessage, ExecutionStatus, GapState, Outcome, UpstreamState
from wire.record import TargetState

STATE_ORDER: Final[tuple[TargetState, ...]] = get_args(TargetState)
"""Worst state first: the state of several targets together is the worst among them."""

STATE_LABELS: Final = {**{one: one for one in STATE_ORDER}, "polling": "degraded: polling"}
"""Each state's name on screen."""


QUIET_MS: Final = 10_000
"""A live target without a new line for this long is quiet."""


class BackfillProgress(msgspec.Struct, frozen=True):
    """How much of the requested history has been received."""

    received: int
    """Events of the history received on this connection."""
    total: int | None
    """Events in the history, where the forwarder knows."""
    reached_ms: int | None
    """The time reached so far, backwards (newest first) or forwards (oldest first)."""


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
    """A range whose events no longer exist at the forwarder or CloudWatch."""

    target: int
    from_ms: int
    through_ms: int
    reason: str


class UnequalRange(msgspec.Struct, frozen=True):
    """A range in which the viewer's events differ from the forwarder's."""

    target: int
    from_ms: int
    through_ms: int
    missing: int
    """The forwarder's count less the viewer's; at least 1 where only the content differs."""
    final: bool
    """Unequal even after a repair: reported, not retried (rule [13])."""


class MarkStatus(msgspec.Struct, frozen=True):
    """A mark, and how it compared when it came."""

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
    """Rebases of the target before the mark came."""


class ConnectionOutage(msgspec.Struct, frozen=True):
    """A time without connection: when, why, and how many lines came afterwards."""

    began_ms: int
    ended_ms: int | None
    """None while it lasts."""
    code: int | None
    """The close code; None without a close frame."""
    reason: str
    recovered: int | None
    """New lines received after reconnecting; None until all of them are here."""
    outcome: Outcome | None
    """The outcome in the forwarder's ``welcome``."""


class ConnectionEntry(msgspec.Struct, frozen=True):
    """A connection that the forwarder accepted."""

    at_ms: int
    outcome: Outcome
    epoch: str


class UpstreamProblem(msgspec.Struct, frozen=True):
    """Why a forwarder can't read CloudWatch: a code and a line; both are empty while it can."""

    code: str = ""
    reason: str = ""


class StateChange(msgspec.Struct, frozen=True):
    """A change of a target's state."""

    at_ms: int
    state: TargetState
    detail: str


class EndStatus(msgspec.Struct, frozen=True):
    """The end of an execution, as the forwarder reported it."""

    execution: str
    status: ExecutionStatus
    from_ms: int
    through_ms: int
    count: int
    equal: bool
    """Whether the viewer holds exactly those events."""


Phase = Literal["here", "joining", "left"]
"""Whether a target counts for what is verified: always, not yet, or no more."""

JOIN_MS: Final = 30_000
"""How long a log group that has joined may be unverified before it counts like all others."""


class TargetStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The status of one target: one log group of one forwarder."""

    target: int
    """Its number in the list of targets, which its lines' keys hold."""
    name: str
    url: str
    group: str | None
    pattern: str = ""
    """CloudWatch's filter pattern: only matching events are shown and verified; empty: all."""
    state: TargetState
    state_since_ms: int
    detail: str
    """Why it is reconnecting or failed, and what to do; one line."""
    attempt: int
    """Connection attempts since it was last connected; 0 while connected."""
    retry_at_ms: int | None
    """When the next attempt begins."""
    progress: BackfillProgress | None
    """None unless backfilling."""
    epoch: str | None
    after: int | None
    """The cursor's seq: the last one stored."""
    head_seq: int | None
    generation: int
    since_ms: int | None
    complete_through_ms: int | None
    """T: verified from ``since_ms`` through this; None where nothing is verified yet."""
    provisional: int
    """Events shown that are newer than T."""
    missing: int
    """Events that the forwarder has and the viewer lacks."""
    unequal: tuple[UnequalRange, ...]
    gaps: tuple[GapStatus, ...]
    """Open gaps and the most recently repaired ones, oldest first."""
    lost: tuple[LostRange, ...]
    events: int
    """Distinct events received, evicted ones included."""
    unconfirmed: int
    """Events shown that the present epoch has not confirmed (rule [6])."""
    duplicates: int
    """Events received again and dropped."""
    late: int
    """Events that came for a time already verified."""
    repaired: int
    """Events that only a reconciliation scan found."""
    marks: int
    marks_unequal: int
    last_mark: MarkStatus | None
    malformed: int
    """Messages that could not be decoded."""
    upstream: UpstreamState | None
    """CloudWatch's state by the last heartbeat of this connection; None before the first."""
    upstream_lag_ms: int | None
    lag_ms: int | None
    """From the newest live event's timestamp to its arrival."""
    rate_per_s: float
    ends: tuple[EndStatus, ...]
    history: tuple[StateChange, ...]
    """Newest last, bounded."""
    outages: tuple[ConnectionOutage, ...]
    """Newest last, bounded."""
    connections: tuple[ConnectionEntry, ...] = ()
    """Newest last, bounded."""
    uncompared_ms: int | None = None
    """Lines before this were not compared and can't be: the tally has dropped them."""
    upstream_code: str = ""
    """Why CloudWatch can't be read, as in PROTOCOL.md; empty unless that is certain or lasts."""
    altered: int = 0
    """Events of which CloudWatch now returns another text than the one shown."""
    phase: Phase = "here"
    upstream_reason: str = ""
    """The forwarder's line on it, with what to do; from the wire, so not harmless."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The status of all targets together."""

    at_ms: int
    targets: tuple[TargetStatus, ...]
    state: TargetState
    """The worst state among the targets, by ``STATE_ORDER``."""
    complete_through_ms: int | None
    """The earliest T among the targets; None while any has none."""
    provisional: int
    missing: int
    gaps: tuple[GapStatus, ...]
    lost: tuple[LostRange, ...]
    unequal: tuple[UnequalRange, ...]
    lag_ms: int | None
    rate_per_s: float
    volume: tuple[int, ...]
    """Events received in each of the last 60 seconds, newest last."""
    volume_backfill: tuple[int, ...] = ()
    """The backfilled ones among them."""
    lines: int
    """Lines in the timeline."""
    evicted: int
    """Lines evicted from the timeline to keep it within its capacity."""
    evicted_through_ms: int | None
    events: int
    duplicates: int
    late: int
    repaired: int
    unconfirmed: int
    uncompared_ms: int | None = None
    """The latest among the targets; None where every line shown can be compared."""
    altered: int = 0
    waiting: tuple[str, ...] = ()
    """Patterns that match no log group yet."""
    unlisted: str = ""
    """Why the log groups that match can't be listed now; from the wire, so not harmless."""

    @property
    def counted(self) -> tuple[TargetStatus, ...]:
        """The targets that count for the state: neither joining nor left; all if there are none."""
        found = tuple(one for one in self.targets if one.phase == "here")
        return found or self.targets

    @property
    def joining(self) -> int:
        """Number of log groups that have joined and are not verified yet."""
        return sum(one.phase == "joining" for one in self.targets)

    @property
    def left(self) -> int:
        """Number of log groups that were deleted while watching."""
        return sum(one.phase == "left" for one in self.targets)

    @property
    def is_current(self) -> bool:
        """Whether T keeps advancing: every forwarder is connected and can read CloudWatch."""
        return not any(
            target.upstream_code or target.state in ("connecting", "reconnecting", "failed")
            for target in self.counted
        )

    @property
    def is_green(self) -> bool:
        """Whether everything through T is verified and nothing at all is known to be missing."""
        return (
            self.complete_through_ms is not None
            and not self.unequal
            and not self.lost
            and not any(gap.state == "unrecoverable" for gap in self.gaps)
        )


class Stored(msgspec.Struct, frozen=True):
    """Events were stored: the tally has them, and the cursor may move past them."""

    lines: list[Line]
    """Lines of events that were not known."""
    confirmed: list[Line]
    """Lines of known events with a new seq or content; they replace the rows of the same key."""


class SendMessage(msgspec.Struct, frozen=True):
    """Send a message to the forwarder over the open connection."""

    message: ClientMessage


class CloseConnection(msgspec.Struct, frozen=True):
    """Close the connection; ``final`` means not to reconnect."""

    code: int
    reason: str
    final: bool = False


class Welcomed(msgspec.Struct, frozen=True):
    """The forwarder accepted the connection."""

    outcome: Outcome
    epoch: str
    again: bool
    """Whether an earlier connection was accepted before."""


class Rebased(msgspec.Struct, frozen=True):
    """All lines of a target shown so far are unconfirmed; ``era`` numbers the new era."""

    target: int
    era: int
    reason: str


class Unconfirmed(msgspec.Struct, frozen=True):
    """These lines are unconfirmed, as a repair did not bring them again."""

    keys: list[int]


class CaughtUp(msgspec.Struct, frozen=True):
    """All events from the time without connection are here."""

    recovered: int


Effect = (
    Stored
    | SendMessage
    | CloseConnection
    | Welcomed
    | Rebased
    | Unconfirmed
    | MarkStatus
    | GapStatus
    | LostRange
    | UnequalRange
    | CaughtUp
    | EndStatus
)
