"""Paces the calls of an AWS API: within a share of the account's quota, fairly, some at a time.

AWS publishes quotas of FilterLogEvents for each account and Region; they can't be raised. Other
programs and the console use the same quota, so a forwarder takes half of it by default, and less
where calls are throttled nevertheless. All readers of a process share one budget.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from collections.abc import Set as AbstractSet
from typing import Final, TypeVar

from common.concurrency import in_thread
from forwarder.cloudwatch.fair_queue import FairQueue, Priority

_FILTER_QUOTAS: Final = {
    "us-east-1": 25.0,
    "ap-northeast-3": 5.0,
    "ap-southeast-3": 5.0,
    "ca-west-1": 5.0,
    "eu-central-1": 5.0,
    "il-central-1": 5.0,
}
_FILTER_QUOTA: Final = 10.0
"""FilterLogEvents calls a second in other Regions (CloudWatch Logs quotas, AWS user guide)."""

DEFAULT_SHARE: Final = 0.5
"""Share of the quota that is used unless the user says otherwise."""

DESCRIBE_RATE: Final = 5.0
"""Calls a second of the APIs that describe: half the quota of DescribeLogGroups, the least one."""

RATE_MIN: Final = 0.5
"""Lowest calls per second: this much the account's other users leave free, however throttled."""

RECOVERY_MS: Final = 60_000
"""Time in which a rate would rise from nothing to its limit: from half of it, in 30 s."""

DECREASE_INTERVAL_MS: Final = 1_000
"""Throttled replies within this time count once: their calls were made at the same rate."""

SLOTS_MAX: Final = 16
"""Concurrent calls, each of which holds a thread and a connection."""

POLL_SLOTS: Final = 4
"""Slots that only polls may use: scans that hang must not delay the newest events."""

_WHOLE: Final = 1 - 1e-6
"""A token, but for rounding: the wait for the rest would be too short for any timer."""

_T = TypeVar("_T")


def filter_quota(region: str) -> float:
    """FilterLogEvents calls a second that AWS allows an account in a Region."""
    return _FILTER_QUOTAS.get(region, _FILTER_QUOTA)


class CallBudget:
    """A token bucket with an adaptive rate up to a limit. Pure; times are ms of any one clock."""

    def __init__(self, now_ms: float, limit: float, quota: float | None = None) -> None:
        """Start with a full bucket, at the limit; see ``set_limit``."""
        self._filled_ms = now_ms
        self._decreased_ms = now_ms - DECREASE_INTERVAL_MS
        self.rate = limit
        """Current calls per second."""
        self.set_limit(limit, quota)
        self._tokens = self._burst

    def set_limit(self, limit: float, quota: float | None = None) -> None:
        """Set the highest calls per second, and what AWS allows; None: twice the limit.

        As many calls may start at once as keep a second with such a burst within the quota.
        """
        spare = limit if quota is None else quota - limit
        self.limit = limit
        self.rate = min(self.rate, limit)
        self._burst = max(1.0, min(limit / 2, spare))

    def wait_ms(self, now_ms: float) -> float:
        """Time until the next call may start; 0 if it may start now."""
        self._fill(now_ms)
        return 0.0 if self._tokens >= _WHOLE else (1 - self._tokens) * 1000 / self.rate

    def spend(self, now_ms: float) -> None:
        """Take the token of a call that starts."""
        self._fill(now_ms)
        self._tokens -= 1

    def record_throttling(self, now_ms: float) -> None:
        """Halve the rate and empty the bucket after a throttled call."""
        if now_ms - self._decreased_ms < DECREASE_INTERVAL_MS:
            return
        self._fill(now_ms)
        self._decreased_ms = now_ms
        self.rate = max(min(RATE_MIN, self.limit), self.rate / 2)
        self._tokens = min(self._tokens, 0.0)

    def _fill(self, now_ms: float) -> None:
        passed_ms = max(0.0, now_ms - self._filled_ms)
        self._tokens = min(self._burst, self._tokens + passed_ms * self.rate / 1000)
        # By time, not by calls: of two forwarders the one with fewer calls must not stay behind.
        self.rate = min(self.limit, self.rate + self.limit * passed_ms / RECOVERY_MS)
        self._filled_ms = max(self._filled_ms, now_ms)


def startable(running: int) -> AbstractSet[Priority]:
    """The priorities of which a call may start while ``running`` calls run."""
    if running >= SLOTS_MAX:
        return frozenset()
    return frozenset(Priority) if running < SLOTS_MAX - POLL_SLOTS else {Priority.POLL}


class Turn:
    """The right to start one call now; ``CallQueue.call`` uses it, ``release`` gives it back."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release: Callable[[], None] | None = release

    def take(self) -> Callable[[], None]:
        """Use the turn; returns what to call when the call has ended."""
        assert self._release is not None, "a turn is for one call"
        release, self._release = self._release, None
        return release

    def release(self) -> None:
        """Give the turn back if it was not used."""
        if self._release is not None:
            self.take()()


class CallQueue:
    """Starts the blocking calls of one API by priority, lane and budget.

    A lane is one feed's line; feeds with equal weights get equal numbers of calls while they have
    any. Belongs to the event loop that runs its calls.
    """

    def __init__(self, limit: float) -> None:
        """Start idle; ``limit`` is the highest calls per second."""
        self._limit: tuple[float, float | None] = limit, None
        self._budget: CallBudget | None = None
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()
        self._running = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def limit(self) -> float:
        """Highest calls per second."""
        return self._limit[0]

    def set_limit(self, limit: float, quota: float | None = None) -> None:
        """Change the highest calls per second; see ``CallBudget.set_limit``."""
        self._limit = limit, quota
        if self._budget is not None:
            self._budget.set_limit(limit, quota)

    def set_weight(self, lane: Hashable, weight: float) -> None:
        """Give a lane this many times the calls of a lane of weight 1, while both have calls."""
        self._waiting.set_weight(lane, weight)

    def part_ms(self, calls: int) -> int:
        """Time in which a lane's equal part of the present budget allows this many calls, ms."""
        rate = self.limit if self._budget is None else self._budget.rate
        return round(calls * 1000 * max(1, self._waiting.lane_count) / rate)

    def drop_lane(self, lane: Hashable) -> None:
        """Forget a lane whose feed has ended."""
        self._waiting.drop_weight(lane)

    async def wait_turn(self, lane: Hashable, priority: Priority) -> Turn:
        """Wait until a call may start; the caller must use the turn or release it."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.push(turn, lane, priority)
        self._start_waiting()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free_slot()
            else:
                self._waiting.remove(turn, lane, priority)
            raise
        return Turn(self._free_slot)

    async def call(
        self,
        function: Callable[[], _T],
        priority: Priority,
        lane: Hashable = None,
        turn: Turn | None = None,
    ) -> _T:
        """Run a blocking function in a daemon thread when its turn comes, or with a turn at once.

        A cancelled call keeps its slot until its thread ends.
        """
        if turn is None:
            turn = await self.wait_turn(lane, priority)
        return await in_thread(function, name="cloudwatch", finished=turn.take())

    def record_throttling(self) -> None:
        """Lower the rate after a throttled call."""
        budget, now_ms = self._budget_now()
        budget.record_throttling(now_ms)

    def close(self) -> None:
        """Forget the event loop; the next call may be in another one."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._budget = None

    def _budget_now(self) -> tuple[CallBudget, float]:
        now_ms = asyncio.get_running_loop().time() * 1000
        if self._budget is None:
            self._budget = CallBudget(now_ms, *self._limit)
        return self._budget, now_ms

    def _free_slot(self) -> None:
        self._running -= 1
        self._start_waiting()

    def _start_waiting(self) -> None:
        while self._waiting.has_waiting(allowed := startable(self._running)):
            budget, now_ms = self._budget_now()
            wait_ms = budget.wait_ms(now_ms)
            if wait_ms > 0:
                if self._timer is None:
                    loop = asyncio.get_running_loop()
                    self._timer = loop.call_later(wait_ms / 1000, self._wake)
                return
            turn = self._waiting.pop(allowed)
            assert turn is not None
            if turn.cancelled():  # its task has not run since, and would remove it
                continue
            budget.spend(now_ms)
            self._running += 1
            turn.set_result(None)

    def _wake(self) -> None:
        self._timer = None
        self._start_waiting()
