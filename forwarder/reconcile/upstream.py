"""How the way to CloudWatch Logs is, as heartbeats tell it. Pure: time is an argument.

``at_ms`` is of a clock that is never set; ``now_ms`` is the wall clock's, as events are stamped.
"""

from __future__ import annotations

from typing import Final, Literal

from wire.messages import Upstream

Outcome = Literal["ok", "throttled", "unreachable"]
"""What came of one attempt at a call."""

STALE_MS: Final = 5_000
"""Without a whole poll for so long, what is shown is late, whatever the reason."""

SHOWN_MS: Final = 10_000
"""How long a throttled call or an event that became visible late is told of."""


class UpstreamWatch:
    """One log group's view of CloudWatch; the worst of what is known is told."""

    def __init__(self, at_ms: int, poll_ms: int, overlap_ms: int, allowance_ms: int) -> None:
        """Nothing has been heard yet; the rest is as polls have it."""
        self._stale_ms = max(STALE_MS, 3 * poll_ms)
        self._overlap_ms = overlap_ms
        self._allowance_ms = allowance_ms
        self._first_ms: int | None = None
        self._whole_ms = 0
        self._whole_at_ms = at_ms
        self._is_failing = False
        self._throttled_ms: int | None = None
        self._delay_ms = 0
        self._delayed_ms: int | None = None

    def poll_outcome(self, outcome: Outcome, at_ms: int) -> None:
        """What came of one attempt at a page of a poll."""
        self._is_failing = outcome == "unreachable"
        self.scan_outcome(outcome, at_ms)

    def scan_outcome(self, outcome: Outcome, at_ms: int) -> None:
        """What came of an attempt of a scan: polls alone tell whether CloudWatch is there."""
        if outcome == "throttled":
            self._throttled_ms = at_ms

    def poll_finished(self, begun_ms: int, begun_at_ms: int) -> None:
        """A poll that had begun then, by either clock, was whole."""
        self._is_failing = False
        self._whole_ms = begun_ms
        self._whole_at_ms = begun_at_ms
        if self._first_ms is None:
            self._first_ms = begun_ms

    def appeared(self, timestamp: int, ingestion_time: int | None, now_ms: int, at_ms: int) -> None:
        """An event was new although its time had been proved: was it there, but not visible?

        It was, if a whole poll of this process began after its ingestion and looked there.
        """
        if self._first_ms is None or ingestion_time is None:
            return
        was_looked_for = (
            self._first_ms <= ingestion_time < self._whole_ms
            and timestamp >= ingestion_time - self._overlap_ms
        )
        delay_ms = now_ms - ingestion_time
        if not was_looked_for or delay_ms <= self._allowance_ms:
            return
        if delay_ms > self._delay_ms or not self._is_recent(self._delayed_ms, at_ms):
            self._delay_ms = delay_ms
        self._delayed_ms = at_ms

    def pace(self, poll_ms: int) -> None:
        """So often is polled from now on."""
        self._stale_ms = max(STALE_MS, 3 * poll_ms)

    def live_late(self, delay_ms: int, at_ms: int) -> None:
        """A live path that was relied on is behind so far, or has missed something."""
        if delay_ms > self._delay_ms or not self._is_recent(self._delayed_ms, at_ms):
            self._delay_ms = delay_ms
        self._delayed_ms = at_ms

    def at(self, at_ms: int) -> Upstream:
        """As a heartbeat has it: ``lag_ms`` is how far behind the screen may be."""
        lag_ms = max(0, at_ms - self._whole_at_ms)
        is_delayed = self._is_recent(self._delayed_ms, at_ms)
        if self._is_failing:
            return Upstream("unreachable", lag_ms)
        if self._is_recent(self._throttled_ms, at_ms):
            return Upstream("throttled", lag_ms)
        if is_delayed or lag_ms > self._stale_ms:
            return Upstream("delayed", max(lag_ms, self._delay_ms if is_delayed else 0))
        return Upstream("ok", lag_ms)

    @staticmethod
    def _is_recent(moment_ms: int | None, at_ms: int) -> bool:
        return moment_ms is not None and at_ms - moment_ms < SHOWN_MS
