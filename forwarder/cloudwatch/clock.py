"""The wall clock, one that is never set, one that is wrong on purpose, and one that is held back.

The third is for simulations, which must show that no event is lost by it.

What time it is for CloudWatch, from the ``Date`` of its answers. Pure: times are arguments.

A machine's clock that is ahead would let marks claim what is still to come, and have the present
looked for where nothing is yet. Each answer says between which moments of this machine's timer
CloudWatch's clock stood at a certain second; many of them together say it to some milliseconds.

Rules: a clock that is behind needs nothing, since it claims less. What says that it is earlier is
believed at once, what says that it is later only when the next answer agrees. No ``Date``, one that
is none, and one that is older than an event in the same answer (a proxy's own) say nothing.

How this machine's clock and CloudWatch's differ: taken from answers, and told.
"""

from __future__ import annotations

import logging
import mmap
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

from forwarder.errors import ConfigError
from forwarder.records import LogEvent

DATE_RESOLUTION_MS: Final = 1_000
"""``Date`` has whole seconds (RFC 9110, 5.6.7), and is at least that late."""

ANSWERS_MAX: Final = 64
"""Answers that are weighed: a minute of polls or a few, in which no timer drifts by much."""

STRANGE_MS: Final = 2 * 86_400_000
"""A ``Date`` so far off is nobody's idea of now: AWS refuses calls that were signed a quarter of
an hour before or after its time, so that it was not CloudWatch that wrote it."""

CONTRADICTION_MS: Final = 5_000
"""What was ingested so long after the ``Date`` of its answer shows that to be another's clock;
AWS's own machines differ by less."""

_Span = tuple[int, int]
"""How far CloudWatch's clock is ahead of the timer, at least and at most."""


class ServerTime:
    """One endpoint's clock; ``timer`` is a clock that is never set, all in ms."""

    def __init__(self) -> None:
        """Nothing has been answered."""
        self._spans: list[_Span] = []
        self._most: int | None = None
        self._doubted: _Span | None = None
        self._ingested: int | None = None

    def answered(
        self,
        date: str | None,
        *,
        asked_at_ms: int,
        at_ms: int,
        wall_ms: int,
        ingested_ms: int | None = None,
    ) -> None:
        """An answer came.

        Args:
            date: its ``Date`` header.
            asked_at_ms: the timer before the call.
            at_ms: the timer after it.
            wall_ms: this machine's clock after it.
            ingested_ms: the latest ingestion time of the events in it.

        """
        if ingested_ms is not None and abs(ingested_ms - wall_ms) < STRANGE_MS:
            ingested = ingested_ms - at_ms
            self._ingested = max(ingested, ingested if self._ingested is None else self._ingested)
            if any(self._is_contradicted(span) for span in self._spans):
                self._keep([])
        date_ms = _parse(date)
        if date_ms is None or abs(date_ms - wall_ms) >= STRANGE_MS:
            return
        span = date_ms - at_ms, date_ms + DATE_RESOLUTION_MS - asked_at_ms
        if not self._is_contradicted(span):
            self._take(span)

    def at_most(self, timer_ms: int) -> int | None:
        """The latest that CloudWatch's clock can say at a moment of the timer; None: not known."""
        return None if self._most is None else timer_ms + self._most

    def skew_ms(self, wall_ms: int, timer_ms: int) -> int:
        """How far this machine's clock is ahead at least, or behind (below 0); 0: not certainly."""
        if self._most is None:
            return 0
        least = max(low for low, _ in self._spans)
        ahead_ms, behind_ms = wall_ms - timer_ms - self._most, wall_ms - timer_ms - least
        return max(ahead_ms, 0) or min(behind_ms, 0)

    def _is_contradicted(self, span: _Span) -> bool:
        return self._ingested is not None and span[1] < self._ingested - CONTRADICTION_MS

    def _take(self, span: _Span) -> None:
        low, high = span
        if self._most is not None and low > self._most:
            doubted, self._doubted = self._doubted, span
            if doubted is not None and doubted[0] <= high and low <= doubted[1]:
                self._keep([doubted, span])  # the machine slept, which its timer did not count
        else:
            self._keep([*(one for one in self._spans if one[0] <= high), span])

    def _keep(self, spans: list[_Span]) -> None:
        self._spans = spans[-ANSWERS_MAX:]
        self._most = min((high for _, high in self._spans), default=None)
        self._doubted = None


def _parse(date: str | None) -> int | None:
    if date is None:
        return None
    try:
        moment = parsedate_to_datetime(date)
        # asctime's form names no zone: it is Greenwich's (RFC 9110).
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1000)
    except (ValueError, TypeError, OverflowError, OSError):
        return None


_BYTES: Final = 8


def wall_clock_ms() -> int:
    """Milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def timer_ms() -> int:
    """Milliseconds of a clock that is never set, for intervals."""
    return time.monotonic_ns() // 1_000_000


def clock_of(skew: Path | None) -> Callable[[], int]:
    """The wall clock in ms since the Unix epoch.

    Args:
        skew: a file of eight bytes that says by how many ms it is ahead (a signed number, least
            significant byte first), looked at each time; None = it is right.

    Raises:
        ConfigError: the file is not like that.

    """
    if skew is None:
        return wall_clock_ms
    try:
        with skew.open("rb") as file:
            # Mapped, since the clock is looked at for every event.
            shared = mmap.mmap(file.fileno(), _BYTES, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        msg = f"--clock-skew {skew} can't be used ({error}): it must have {_BYTES} bytes"
        raise ConfigError(msg) from error
    return lambda: wall_clock_ms() + int.from_bytes(shared[:_BYTES], "little", signed=True)


def held_back(
    clock: Callable[[], int], server: ServerTime, timer: Callable[[], int] = timer_ms
) -> Callable[[], int]:
    """The wall clock, but never ahead of CloudWatch's as far as its answers have told that.

    What is told to viewers to be complete goes by this: no scan has seen what is still to come.

    Args:
        clock: the wall clock, ms since the Unix epoch.
        server: what the answers told.
        timer: ms of a clock that is never set.

    """

    def now_ms() -> int:
        wall_ms, most_ms = clock(), server.at_most(timer())
        return wall_ms if most_ms is None else min(wall_ms, most_ms)

    return now_ms


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
