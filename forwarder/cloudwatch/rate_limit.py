"""Paces the calls of an AWS API: by priority, at an adaptive rate, with a cap on concurrent calls.

All that AWS documents of FilterLogEvents' limit is "a few calls a second per account and Region".
So the rate is found by additive increase and multiplicative decrease, one budget for all scans of
a process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from enum import IntEnum
from typing import Final, TypeVar

from common.concurrency import in_thread

RATE_FIRST: Final = 10.0
"""Initial calls per second: twice what older documentation allows, soon corrected."""

RATE_MIN: Final = 0.5
"""Lowest calls per second: this much the account's other users leave free, however throttled."""

RATE_MAX: Final = 50.0
"""Highest calls per second: one process could not take in more."""

BURST: Final = 10.0
"""Calls that may start at once after a quiet time."""

RATE_STEP: Final = 0.1
"""Increase of the rate for each call that was not throttled."""

DECREASE_INTERVAL_MS: Final = 1_000
"""Throttled replies within this time count once: their calls were made at the same rate."""

SLOTS_MAX: Final = 16
"""Concurrent calls, each of which holds a thread and a connection."""

POLL_SLOTS: Final = 4
"""Slots that only polls may use: scans that hang must not delay the newest events."""

POLLS_IN_A_ROW_MAX: Final = 3
"""Polls in a row while scans wait: without scans there would be no marks."""

_T = TypeVar("_T")


class CallBudget:
    """A token bucket with an adaptive rate. Pure; times are ms of any one clock."""

    def __init__(self, now_ms: float) -> None:
        """Start with a full bucket at ``now_ms``."""
        self.rate = RATE_FIRST
        """Current calls per second."""
        self._tokens = BURST
        self._filled_ms = now_ms
        self._decreased_ms = now_ms - DECREASE_INTERVAL_MS

    def wait_ms(self, now_ms: float) -> float:
        """Time until the next call may start; 0 if it may start now."""
        self._fill(now_ms)
        return 0.0 if self._tokens >= 1 else (1 - self._tokens) * 1000 / self.rate

    def spend(self, now_ms: float) -> None:
        """Take the token of a call that starts."""
        self._fill(now_ms)
        self._tokens -= 1

    def record_success(self) -> None:
        """Raise the rate after a call that was not throttled."""
        self.rate = min(RATE_MAX, self.rate + RATE_STEP)

    def record_throttling(self, now_ms: float) -> None:
        """Halve the rate and empty the bucket after a throttled call."""
        if now_ms - self._decreased_ms < DECREASE_INTERVAL_MS:
            return
        self._fill(now_ms)
        self._decreased_ms = now_ms
        self.rate = max(RATE_MIN, self.rate / 2)
        self._tokens = min(self._tokens, 0.0)

    def _fill(self, now_ms: float) -> None:
        gained = max(0.0, now_ms - self._filled_ms) * self.rate / 1000
        self._tokens = min(BURST, self._tokens + gained)
        self._filled_ms = max(self._filled_ms, now_ms)


class Priority(IntEnum):
    """The purpose of a call; lower values go first."""

    POLL = 0
    SCAN = 1
    BACKFILL = 2


def choose(waiting: AbstractSet[Priority], running: int, polls_in_a_row: int) -> Priority | None:
    """The priority whose call starts next; None if none may start while ``running`` calls run."""
    if not waiting or running >= SLOTS_MAX:
        return None
    scans = waiting - {Priority.POLL} if running < SLOTS_MAX - POLL_SLOTS else set()
    polls = waiting & {Priority.POLL}
    if polls and not (scans and polls_in_a_row >= POLLS_IN_A_ROW_MAX):
        return Priority.POLL
    return min(scans, default=None)


class CallQueue:
    """Starts the blocking calls of one API by priority and budget; belongs to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._budget = CallBudget(loop.time() * 1000)
        self._loop = loop
        self._waiting: dict[Priority, deque[asyncio.Future[None]]] = {
            priority: deque() for priority in Priority
        }
        self._running = 0
        self._polls_in_a_row = 0
        self._timer: asyncio.TimerHandle | None = None

    async def call(self, function: Callable[[], _T], priority: Priority) -> _T:
        """Run a blocking function in a daemon thread when its turn comes.

        A cancelled call keeps its slot until its thread ends.
        """
        turn: asyncio.Future[None] = self._loop.create_future()
        self._waiting[priority].append(turn)
        self._start_waiting()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free_slot()
            raise
        return await in_thread(function, name="cloudwatch", finished=self._free_slot)

    def record_success(self) -> None:
        """Raise the rate after a call that was not throttled."""
        self._budget.record_success()

    def record_throttling(self) -> None:
        """Lower the rate after a throttled call."""
        self._budget.record_throttling(self._loop.time() * 1000)

    def _free_slot(self) -> None:
        self._running -= 1
        self._start_waiting()

    def _start_waiting(self) -> None:
        while (priority := self._next_priority()) is not None:
            now_ms = self._loop.time() * 1000
            wait_ms = self._budget.wait_ms(now_ms)
            if wait_ms > 0:
                if self._timer is None:
                    self._timer = self._loop.call_later(wait_ms / 1000, self._wake)
                return
            is_poll = priority is Priority.POLL
            self._polls_in_a_row = self._polls_in_a_row + 1 if is_poll else 0
            self._budget.spend(now_ms)
            self._running += 1
            self._waiting[priority].popleft().set_result(None)

    def _wake(self) -> None:
        self._timer = None
        self._start_waiting()

    def _next_priority(self) -> Priority | None:
        for line in self._waiting.values():
            while line and line[0].done():  # cancelled while it waited
                line.popleft()
        waiting = {priority for priority, line in self._waiting.items() if line}
        return choose(waiting, self._running, self._polls_in_a_row)
