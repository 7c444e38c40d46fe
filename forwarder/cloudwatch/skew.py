"""How this machine's clock and CloudWatch's differ: taken from answers, and told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from forwarder.cloudwatch.clock import timer_ms
from forwarder.cloudwatch.servertime import ServerTime
from forwarder.records import LogEvent

_LOG: Final = logging.getLogger("gapless.forwarder")

TOLD_MS: Final = 2_000
"""What the clocks may differ by without a word."""

NEWEST: Final = 100
"""Events at the end of a page that are looked at for the latest ingestion: enough to refute a
``Date``, and cheap."""


class Skew:
    """One endpoint's; belongs to one event loop."""

    def __init__(self, clock: Callable[[], int], timer: Callable[[], int] = timer_ms) -> None:
        """Nothing is known; ``clock`` is this machine's, ``timer`` one that is never set, ms."""
        self.time = ServerTime()
        """CloudWatch's clock."""
        self._clock = clock
        self._timer = timer
        self._told = 0

    @property
    def ms(self) -> int:
        """How far this machine's clock is ahead, as ``ServerTime.skew_ms`` has it."""
        return self.time.skew_ms(self._clock(), self._timer())

    @property
    def told_ms(self) -> int:
        """The same, 0 where it is not worth a word."""
        return self.ms if abs(self.ms) >= TOLD_MS else 0

    def heard(self, answer: object, asked_at_ms: int, at_ms: int) -> None:
        """A call of the SDK was answered; what is not as the SDK has it says nothing.

        Args:
            answer: with the headers in its ``ResponseMetadata``.
            asked_at_ms: the timer before the call.
            at_ms: the timer after it.

        """
        if not isinstance(answer, dict):
            return
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders")
        if not isinstance(headers, Mapping):
            return
        self.time.answered(
            headers.get("date"),
            asked_at_ms=asked_at_ms,
            at_ms=at_ms,
            wall_ms=self._clock(),
            ingested_ms=_ingested_ms(answer),
        )
        self._tell()

    def _tell(self) -> None:
        """A word where the clocks differ by so much that it shows, once each time."""
        skew_ms = self.ms
        told = (skew_ms >= TOLD_MS) - (skew_ms <= -TOLD_MS)
        if told == self._told or (told == 0 and abs(skew_ms) > TOLD_MS // 2):
            return
        self._told = told
        if told > 0:
            _LOG.warning(
                "this machine's clock is %.0f s ahead of CloudWatch's: what is later than there "
                "is not called complete; set it right",
                skew_ms / 1000,
            )
        elif told < 0:
            _LOG.warning(
                "this machine's clock is %.0f s behind CloudWatch's: so is what is called "
                "complete; set it right",
                -skew_ms / 1000,
            )
        else:
            _LOG.warning("this machine's clock agrees with CloudWatch's again")


def _ingested_ms(answer: dict[str, Any]) -> int | None:
    """The latest time at which an event of the answer was ingested."""
    times = [
        one.ingestion_time
        for one in answer.get("events", [])[-NEWEST:]
        if isinstance(one, LogEvent) and one.ingestion_time is not None
    ]
    return max(times, default=None)
