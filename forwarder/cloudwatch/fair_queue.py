"""Decides whose call is next: fairly among lanes, in shares among priorities. Pure.

Both by start-time fair queueing (Goyal, Vin and Chen, 1996). Each flow has a tag, the virtual time
at which its next call should start. The least tag goes first, and each call moves its flow's tag on
by the inverse of the flow's weight. A flow that had nothing to do starts at the present virtual
time: it neither saves up calls nor owes any.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable
from collections.abc import Set as AbstractSet
from enum import IntEnum
from typing import Final, Generic, TypeVar


class Priority(IntEnum):
    """The purpose of a call; of calls that may start equally soon, lower values go first."""

    POLL = 0
    SCAN = 1
    BACKFILL = 2


SHARES: Final = {Priority.POLL: 4.0, Priority.SCAN: 1.0, Priority.BACKFILL: 1.0}
"""Weights of the priorities while calls of each wait: polls bring what is new and, if it fits their
page, the rescans; but however many polls wait, late events and history must come too."""

WEIGHT_DEFAULT: Final = 1.0
"""Weight of a lane that has not been given one."""

_TAGS_SPARE: Final = 64
"""Tags of flows without calls that may pile up before they are cleaned up."""

_Flow = TypeVar("_Flow", bound=Hashable)
_Item = TypeVar("_Item")


class FairShares(Generic[_Flow]):
    """The tags of some flows that share a resource by weight."""

    def __init__(self) -> None:
        self._now = 0.0
        self._tags: dict[_Flow, float] = {}

    def begin(self, flow: _Flow) -> None:
        """Note that a flow without calls has one now, or that a blocked flow may go again."""
        self._tags[flow] = max(self._now, self._tags.get(flow, 0.0))

    def take(self, waiting: Iterable[_Flow], weight: Callable[[_Flow], float]) -> _Flow:
        """Choose among flows that have calls and may go, and charge the chosen one for a call."""
        tags = self._tags
        flow = min(waiting, key=tags.__getitem__)  # the first of equals
        self._now = max(self._now, tags[flow])
        tags[flow] += 1 / weight(flow)
        return flow

    def end(self, waiting: Collection[_Flow]) -> None:
        """Note that a flow has no calls any more, and which flows still have."""
        if not waiting:
            # Nothing waits: the next call starts a new round.
            self._tags.clear()
        elif len(self._tags) > 2 * len(waiting) + _TAGS_SPARE:
            self._tags = {
                flow: tag for flow, tag in self._tags.items() if tag > self._now or flow in waiting
            }


class FairQueue(Generic[_Item]):
    """Waiting calls by priority and lane; a lane belongs to one feed."""

    def __init__(self) -> None:
        self._weights: dict[Hashable, float] = {}
        self._classes: FairShares[Priority] = FairShares()
        self._lanes: dict[Priority, FairShares[Hashable]] = {one: FairShares() for one in Priority}
        # Lanes in the order in which they began to wait, so that equals go in order of arrival.
        self._waiting: dict[Priority, dict[Hashable, deque[_Item]]] = {one: {} for one in Priority}

    def __len__(self) -> int:
        return sum(len(items) for lanes in self._waiting.values() for items in lanes.values())

    @property
    def lane_count(self) -> int:
        """Number of lanes that were given a weight, whether or not they have calls."""
        return len(self._weights)

    def set_weight(self, lane: Hashable, weight: float) -> None:
        """Give a lane this many times the calls of a lane of weight 1, while both have calls."""
        self._weights[lane] = weight

    def drop_weight(self, lane: Hashable) -> None:
        """Forget the weight of a lane whose feed has ended; calls that wait still go."""
        self._weights.pop(lane, None)

    def push(self, item: _Item, lane: Hashable, priority: Priority) -> None:
        """Add a call; calls of one lane and priority go in order of arrival."""
        lanes = self._waiting[priority]
        if not lanes:
            self._classes.begin(priority)
        if lane not in lanes:
            lanes[lane] = deque()
            self._lanes[priority].begin(lane)
        lanes[lane].append(item)

    def remove(self, item: _Item, lane: Hashable, priority: Priority) -> None:
        """Remove a call that was given up; does nothing if it does not wait."""
        items = self._waiting[priority].get(lane, deque())
        if item in items:
            items.remove(item)
            self._drop_empty(lane, priority)

    def pop(self, allowed: AbstractSet[Priority]) -> _Item | None:
        """Remove and return the next call of the allowed priorities; None if none waits."""
        ready = [one for one in Priority if one in allowed and self._waiting[one]]
        if not ready:
            return None
        priority = self._classes.take(ready, SHARES.__getitem__)
        for one in Priority:
            if self._waiting[one] and one not in allowed:
                # Calls that may not go save up nothing, or they would later block the others.
                self._classes.begin(one)
        lanes = self._waiting[priority]
        lane = self._lanes[priority].take(lanes, lambda one: self._weights.get(one, WEIGHT_DEFAULT))
        item = lanes[lane].popleft()
        self._drop_empty(lane, priority)
        return item

    def has_waiting(self, allowed: AbstractSet[Priority]) -> bool:
        """Whether a call of the allowed priorities waits."""
        return any(self._waiting[one] for one in allowed)

    def _drop_empty(self, lane: Hashable, priority: Priority) -> None:
        lanes = self._waiting[priority]
        if not lanes[lane]:
            del lanes[lane]
            self._lanes[priority].end(lanes)
        if not lanes:
            self._classes.end([one for one in Priority if self._waiting[one]])
