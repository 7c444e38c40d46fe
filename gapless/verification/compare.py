"""Two streams of events in order of time, merged and compared. Pure; memory for a page of each.

Within a millisecond the two sides may differ in order, FilterLogEvents sorting by ingestion time
and the protocol by id: what both have up to the same time is compared by id.
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
"""Differences of one kind that are listed; beyond them they are only counted."""

_NEVER: Final = float("inf")


class Seen(msgspec.Struct, frozen=True, gc=False):
    """One event, as one of the two sides has it; times in ms since the Unix epoch."""

    id: str
    timestamp: int
    stream: str
    message: str
    ingestion_time: int | None = None
    seq: int = 0
    """The forwarder's; 0 for CloudWatch, which has none."""


class Difference(msgspec.Struct, frozen=True):
    """An event in which the two sides differ."""

    kind: Kind
    seen: Seen


class OrderError(ValueError):
    """A side does not go forward in time, so that nothing can be said of what it lacks."""


class _Lane:
    __slots__ = ("count", "has_ended", "reached", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Seen] = deque()
        self.reached: float = -1
        self.count = 0
        self.has_ended = False


class Comparison:
    """Takes pages of either side, ``behind`` first, and finds in what they differ."""

    def __init__(self) -> None:
        """Nothing compared."""
        self.differences: list[Difference] = []
        """At most ``LISTED_MAX`` of each kind."""
        self.counts: dict[Kind, int] = dict.fromkeys(
            ("missing", "surplus", "altered", "doubled"), 0
        )
        self.equal = 0
        """Events that both have alike."""
        self.digest = 0
        """The sum of the digests of what the forwarder gave."""
        self._lanes: dict[Side, _Lane] = {"cloudwatch": _Lane(), "forwarder": _Lane()}

    def count(self, side: Side) -> int:
        """How many events a side has given."""
        return self._lanes[side].count

    @property
    def behind(self) -> Side | None:
        """The side of which the next page is needed; None: both have ended."""
        left = [(lane.reached, side) for side, lane in self._lanes.items() if not lane.has_ended]
        return min(left)[1] if left else None

    @property
    def reached_ms(self) -> int | None:
        """Up to when everything is compared; None before anything is."""
        reached = min(lane.reached for lane in self._lanes.values())
        return None if reached in (-1, _NEVER) else int(reached)

    def take(self, side: Side, events: Sequence[Seen]) -> None:
        """The next page of a side.

        Raises:
            OrderError: it is not in order of time.

        """
        lane = self._lanes[side]
        for event in events:
            if event.timestamp < lane.reached:
                msg = f"event {event.id} of {event.timestamp} comes after {int(lane.reached)}"
                raise OrderError(msg)
            lane.reached = event.timestamp
            if side == "forwarder":
                self.digest += event_digest(event.id, event.timestamp, event.stream, event.message)
        lane.count += len(events)
        lane.waiting.extend(events)
        self._settle()

    def end(self, side: Side) -> None:
        """A side has no more."""
        lane = self._lanes[side]
        lane.has_ended, lane.reached = True, _NEVER
        self._settle()

    def _settle(self) -> None:
        """Compare what lies before the time that both have passed."""
        before = min(lane.reached for lane in self._lanes.values())
        theirs = self._taken("cloudwatch", before)
        ours = self._taken("forwarder", before)
        for event_id, event in theirs.items():
            other = ours.pop(event_id, None)
            if other is None:
                self._differ("missing", event)
            elif (other.timestamp, other.stream, other.message) == (
                event.timestamp,
                event.stream,
                event.message,
            ):
                self.equal += 1
            else:
                self._differ("altered", event)
        for event in ours.values():
            self._differ("surplus", event)

    def _taken(self, side: Side, before: float) -> dict[str, Seen]:
        waiting, taken = self._lanes[side].waiting, dict[str, Seen]()
        while waiting and waiting[0].timestamp < before:
            event = waiting.popleft()
            if taken.setdefault(event.id, event) is not event:
                self._differ("doubled", event)
        return taken

    def _differ(self, kind: Kind, event: Seen) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= LISTED_MAX:
            self.differences.append(Difference(kind, event))
