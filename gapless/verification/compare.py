"""Compares two streams of events in order of time, in memory for a page of each. Pure.

Within a millisecond their orders may differ: FilterLogEvents sorts by ingestion time and the
protocol by id. So the events up to a time that both sides have passed are compared by id.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from wire.digest import event_digest

Side = Literal["cloudwatch", "forwarder"]
Kind = Literal["missing", "surplus", "altered", "doubled"]

LISTED_MAX: Final = 10_000
"""Differences of one kind that are listed; more are only counted."""

_NEVER: Final = float("inf")


class SideEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as one side has it; times in ms since the Unix epoch.

    Attributes:
        seq: The forwarder's; 0 for CloudWatch, which has none.
    """

    id: str
    timestamp: int
    stream: str
    message: str
    ingestion_time: int | None = None
    seq: int = 0


class Difference(msgspec.Struct, frozen=True):
    """An event in which the two sides differ."""

    kind: Kind
    event: SideEvent


class OrderError(ValueError):
    """A side is not in order of time, so that missing events cannot be recognized."""


class _SideState:
    """What one side has given: events not compared yet, and the time reached."""

    __slots__ = ("count", "has_ended", "reached", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[SideEvent] = deque()
        self.reached: float = -1
        self.count = 0
        self.has_ended = False


class Comparison:
    """Takes pages of both sides, always of the one ``behind``, and lists the differences.

    Attributes:
        differences: At most ``LISTED_MAX`` of each kind.
        counts: Number of differences by kind.
        equal: Number of events that both sides have alike.
        digest: Sum of the digests of the forwarder's events.
    """

    def __init__(self) -> None:
        self.differences: list[Difference] = []
        self.counts: dict[Kind, int] = dict.fromkeys(
            ("missing", "surplus", "altered", "doubled"), 0
        )
        self.equal = 0
        self.digest = 0
        self._sides: dict[Side, _SideState] = {
            "cloudwatch": _SideState(),
            "forwarder": _SideState(),
        }

    def count(self, side: Side) -> int:
        """Return how many events a side has given."""
        return self._sides[side].count

    @property
    def behind(self) -> Side | None:
        """The side whose next page is needed; None if both have ended."""
        left = [(state.reached, side) for side, state in self._sides.items() if not state.has_ended]
        return min(left)[1] if left else None

    @property
    def reached_ms(self) -> int | None:
        """Time up to which everything is compared; None before the first page."""
        reached = min(state.reached for state in self._sides.values())
        return None if reached in (-1, _NEVER) else int(reached)

    def add_page(self, side: Side, events: Sequence[SideEvent]) -> None:
        """Add the next page of a side.

        Raises:
            OrderError: the page is not in order of time.
        """
        state = self._sides[side]
        for event in events:
            if event.timestamp < state.reached:
                msg = f"event {event.id} of {event.timestamp} comes after {int(state.reached)}"
                raise OrderError(msg)
            state.reached = event.timestamp
            if side == "forwarder":
                self.digest += event_digest(event.id, event.timestamp, event.stream, event.message)
        state.count += len(events)
        state.waiting.extend(events)
        self._compare_passed()

    def end_side(self, side: Side) -> None:
        """Note that a side has no more pages."""
        state = self._sides[side]
        state.has_ended, state.reached = True, _NEVER
        self._compare_passed()

    def _compare_passed(self) -> None:
        """Compare the events before the time that both sides have passed."""
        before = min(state.reached for state in self._sides.values())
        theirs = self._pop_before("cloudwatch", before)
        ours = self._pop_before("forwarder", before)
        for event_id, event in theirs.items():
            other = ours.pop(event_id, None)
            if other is None:
                self._add_difference("missing", event)
            elif (other.timestamp, other.stream, other.message) == (
                event.timestamp,
                event.stream,
                event.message,
            ):
                self.equal += 1
            else:
                self._add_difference("altered", event)
        for event in ours.values():
            self._add_difference("surplus", event)

    def _pop_before(self, side: Side, before: float) -> dict[str, SideEvent]:
        waiting, taken = self._sides[side].waiting, dict[str, SideEvent]()
        while waiting and waiting[0].timestamp < before:
            event = waiting.popleft()
            if taken.setdefault(event.id, event) is not event:
                self._add_difference("doubled", event)
        return taken

    def _add_difference(self, kind: Kind, event: SideEvent) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= LISTED_MAX:
            self.differences.append(Difference(kind, event))
