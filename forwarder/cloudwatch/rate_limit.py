"""Who may call CloudWatch next: in order of priority, at the budget's pace, so many at once.

How often CloudWatch may be called, and how long to wait after a failure; no clock, no calls.

"A few calls a second per account and Region" is all that is known of the limit: the rate is
found by additive increase and multiplicative decrease, one budget for all scans of a process.
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
"""Calls a second to begin with: twice what older documentation allows, soon corrected."""

RATE_MIN: Final = 0.5
"""However throttled, the account's other users leave room for this."""

RATE_MAX: Final = 50.0
"""Beyond this one process could not take in what comes."""

BURST: Final = 10.0
"""Calls that may be made at once after a quiet time."""

RATE_STEP: Final = 0.1
"""What a call that was not throttled adds."""

DECREASE_INTERVAL_MS: Final = 1_000
"""Throttled replies to calls made at the same time count once."""


class CallBudget:
    """A token bucket whose rate adapts; times in ms of any one clock."""

    def __init__(self, now_ms: float) -> None:
        """A full budget at ``now_ms``."""
        self.rate = RATE_FIRST
        """Calls a second at present."""
        self._tokens = BURST
        self._filled_ms = now_ms
        self._decreased_ms = now_ms - DECREASE_INTERVAL_MS

    def wait_ms(self, now_ms: float) -> float:
        """How long until a call may be made; 0 if now."""
        self._fill(now_ms)
        return 0.0 if self._tokens >= 1 else (1 - self._tokens) * 1000 / self.rate

    def take(self, now_ms: float) -> None:
        """A call is being made."""
        self._fill(now_ms)
        self._tokens -= 1

    def succeeded(self) -> None:
        """A call was not throttled."""
        self.rate = min(RATE_MAX, self.rate + RATE_STEP)

    def throttled(self, now_ms: float) -> None:
        """A call was throttled: half the rate, and nothing saved up."""
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


_T = TypeVar("_T")

SLOTS_MAX: Final = 16
"""Calls under way at once, each of which holds a thread and a connection."""

POLL_SLOTS: Final = 4
"""Of these, kept free for polls: scans that hang must not hold up the newest events."""

POLLS_IN_A_ROW_MAX: Final = 3
"""While scans wait as well: they must get on too, or there would be no marks."""


class Priority(IntEnum):
    """What a call is for; the lower goes first."""

    POLL = 0
    SCAN = 1
    PAST = 2


def choose(waiting: AbstractSet[Priority], under_way: int, polls_in_a_row: int) -> Priority | None:
    """Which of those that wait goes next; None if nobody may while so many are under way."""
    if not waiting or under_way >= SLOTS_MAX:
        return None
    scans = waiting - {Priority.POLL} if under_way < SLOTS_MAX - POLL_SLOTS else set()
    polls = waiting & {Priority.POLL}
    if polls and not (scans and polls_in_a_row >= POLLS_IN_A_ROW_MAX):
        return Priority.POLL
    return min(scans, default=None)


class Turns:
    """One for all that a process asks of CloudWatch; belongs to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing under way, a full budget."""
        self.budget = CallBudget(loop.time() * 1000)
        """The pace; what happens to each call must be told to it."""
        self._loop = loop
        self._waiting: dict[Priority, deque[asyncio.Future[None]]] = {
            priority: deque() for priority in Priority
        }
        self._under_way = 0
        self._polls_in_a_row = 0
        self._timer: asyncio.TimerHandle | None = None

    async def call(self, function: Callable[[], _T], priority: Priority) -> _T:
        """Run a blocking function in a thread when its turn comes.

        A daemon thread for each call, at a few calls a second, instead of an executor: an
        executor's threads are joined when the process ends, so one call that hangs would hold up
        SIGTERM for as long as its timeout. A call that nobody awaits any more keeps its slot
        until it really ends.
        """
        turn: asyncio.Future[None] = self._loop.create_future()
        self._waiting[priority].append(turn)
        self._let_through()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._ended()
            raise
        return await in_thread(function, name="cloudwatch", finished=self._ended)

    def throttled(self) -> None:
        """A call was throttled."""
        self.budget.throttled(self._loop.time() * 1000)

    def _ended(self) -> None:
        self._under_way -= 1
        self._let_through()

    def _let_through(self) -> None:
        while (priority := self._next()) is not None:
            now_ms = self._loop.time() * 1000
            wait_ms = self.budget.wait_ms(now_ms)
            if wait_ms > 0:
                if self._timer is None:
                    self._timer = self._loop.call_later(wait_ms / 1000, self._wake)
                return
            is_poll = priority is Priority.POLL
            self._polls_in_a_row = self._polls_in_a_row + 1 if is_poll else 0
            self.budget.take(now_ms)
            self._under_way += 1
            self._waiting[priority].popleft().set_result(None)

    def _wake(self) -> None:
        self._timer = None
        self._let_through()

    def _next(self) -> Priority | None:
        for line in self._waiting.values():
            while line and line[0].done():  # given up while it waited
                line.popleft()
        waiting = {priority for priority, line in self._waiting.items() if line}
        return choose(waiting, self._under_way, self._polls_in_a_row)
