"""How often CloudWatch may be called, and how long to wait after a failure; no clock, no calls.

"A few calls a second per account and Region" is all that is known of the limit: the rate is
found by additive increase and multiplicative decrease, one budget for all scans of a process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

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


class Backoff:
    """Exponential backoff with jitter: between half and all of ``first_ms * 2**failures``."""

    def __init__(self, first_ms: int, max_ms: int, random: Callable[[], float]) -> None:
        """No failure yet; ``random`` gives numbers from 0 to 1."""
        self._first_ms = first_ms
        self._max_ms = max_ms
        self._random = random
        self.failures = 0
        """Failures in a row."""

    def failed(self) -> int:
        """One more failure; how many ms to wait."""
        # 2**20 ms is a quarter of an hour: more doublings would only make the number large.
        ceiling = min(self._max_ms, self._first_ms << min(self.failures, 20))
        self.failures += 1
        return int(ceiling * (0.5 + self._random() / 2))

    def succeeded(self) -> None:
        """The next failure is the first again."""
        self.failures = 0
