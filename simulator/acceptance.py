"""Which events CloudWatch Logs accepts, and when readers can see them. Pure.

Batches follow AWS's rules for one PutLogEvents call:
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html

Real CloudWatch Logs shows events seconds to minutes after it accepted them. A *regime* delays the
events that are ingested between two moments. An event keeps the delay of its regime when the
regime is replaced, so that a visible event never disappears again (``flap`` does that). How long
it is hidden depends on the seed and its content, not on when it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from simulator.errors import SimulatorError

BATCH_BYTES_MAX: Final = 1_048_576
BATCH_EVENTS_MAX: Final = 10_000
BATCH_SPAN_MS_MAX: Final = 24 * 3_600_000
EVENT_OVERHEAD_BYTES: Final = 26

SURE_PAST_MS: Final = 13 * 24 * 3_600_000
"""Events up to 14 days old are accepted; older than this, an event may be refused on arrival."""

SURE_FUTURE_MS: Final = 3_600_000
"""Events up to 2 h ahead are accepted; further ahead than this, one may be refused on arrival."""


class NewEvent(NamedTuple):
    """An event to write; ``timestamp`` in ms since the Unix epoch."""

    stream: str
    timestamp: int
    message: str


class PutBatch(NamedTuple):
    """The events of one PutLogEvents call: one log stream, oldest first."""

    stream: str
    events: tuple[NewEvent, ...]


def event_bytes(message: str) -> int:
    """Bytes by which an event counts towards the size of a batch."""
    return len(message.encode("utf-8", "surrogatepass")) + EVENT_OVERHEAD_BYTES


def batches(events: Iterable[NewEvent], now_ms: int) -> list[PutBatch]:
    """Cut events of any streams, in any order, into batches that AWS accepts.

    An event so old or so far ahead that it may be refused gets a batch of its own: moto's
    ``rejectedLogEventsInfo`` is off by one, and in such a batch it can mean that event only.

    Raises:
        SimulatorError: an event is empty or larger than a batch may be.
    """
    by_stream: dict[str, list[NewEvent]] = {}
    for event in events:
        by_stream.setdefault(event.stream, []).append(event)
    out: list[PutBatch] = []
    for stream, mine in by_stream.items():
        mine.sort(key=lambda event: event.timestamp)
        out += [PutBatch(stream, tuple(part)) for part in _cut(mine, now_ms)]
    return out


def _cut(events: list[NewEvent], now_ms: int) -> Iterable[list[NewEvent]]:
    batch: list[NewEvent] = []
    size = 0
    for event in events:
        added = event_bytes(event.message)
        if not event.message or added > BATCH_BYTES_MAX:
            msg = f"an event must have 1 character to {BATCH_BYTES_MAX} bytes; this has {added}"
            raise SimulatorError(msg)
        if batch and (
            size + added > BATCH_BYTES_MAX
            or len(batch) == BATCH_EVENTS_MAX
            or event.timestamp - batch[0].timestamp > BATCH_SPAN_MS_MAX
            or not _is_sure(event, now_ms)
            or not _is_sure(batch[-1], now_ms)
        ):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += added
    if batch:
        yield batch


def _is_sure(event: NewEvent, now_ms: int) -> bool:
    return now_ms - SURE_PAST_MS <= event.timestamp <= now_ms + SURE_FUTURE_MS


def accepted_part(batch: PutBatch, rejected: Mapping[str, int]) -> tuple[NewEvent, ...]:
    """The accepted events, by the answer's ``rejectedLogEventsInfo`` (empty if all were)."""
    # End indexes are exclusive, and an index that is present refuses at least one event; moto
    # says 0 for the first.
    low = max(
        (
            max(1, rejected[name])
            for name in ("tooOldLogEventEndIndex", "expiredLogEventEndIndex")
            if name in rejected
        ),
        default=0,
    )
    high = rejected.get("tooNewLogEventStartIndex", len(batch.events))
    return batch.events[low:high]


NEVER: Final = 1 << 53
"""Later than every moment, in ms."""

REGIMES_MAX: Final = 1_000
"""A person or a scenario makes a few dozen."""

_HALF: Final = 8
_UNIT: Final = 1 << 64


class Regime(msgspec.Struct, frozen=True):
    """A delay for the events ingested from ``begin_ms`` until before ``end_ms``.

    Times in ms since the Unix epoch. ``toxicity`` is the share of the events that is delayed, by
    ``delay_ms`` more or less ``jitter_ms``. From ``healed_ms`` on it hides nothing.
    """

    name: str
    delay_ms: int
    jitter_ms: int
    toxicity: float
    seed: int
    begin_ms: int
    end_ms: int = NEVER
    healed_ms: int = NEVER

    def visible_ms(self, stream: str, timestamp: int, message: str, ingested_ms: int) -> int:
        """When readers can see an event ingested at ``ingested_ms``, as far as this regime."""
        if not self.begin_ms <= ingested_ms < self.end_ms:
            return ingested_ms
        text = f"{self.seed}\n{stream}\n{timestamp}\n{message}".encode("utf-8", "surrogatepass")
        drawn = blake2b(text, digest_size=2 * _HALF).digest()
        if int.from_bytes(drawn[:_HALF], "big") >= self.toxicity * _UNIT:
            return ingested_ms
        share = int.from_bytes(drawn[_HALF:], "big") / _UNIT
        delay_ms = self.delay_ms + round((2 * share - 1) * self.jitter_ms)
        return max(ingested_ms, min(ingested_ms + delay_ms, self.healed_ms))

    def hides_until_ms(self) -> int:
        """Moment in ms from which on this regime hides no event."""
        if self.end_ms == NEVER:
            return self.healed_ms
        return min(self.healed_ms, self.end_ms + self.delay_ms + self.jitter_ms)


class Visibility:
    """When events become visible, by all regimes so far; changed by one thread only."""

    def __init__(self) -> None:
        self._regimes: tuple[Regime, ...] = ()

    def impose(self, regime: Regime) -> None:
        """Add a regime from its ``begin_ms`` on; it replaces the one of the same name.

        Raises:
            SimulatorError: there have been too many.
        """
        if len(self._regimes) >= REGIMES_MAX:
            msg = f"visibility was changed {REGIMES_MAX} times, the most there may be: restart"
            raise SimulatorError(msg)
        kept = (
            msgspec.structs.replace(one, end_ms=regime.begin_ms)
            if one.name == regime.name and one.end_ms == NEVER
            else one
            for one in self._regimes
        )
        self._regimes = (*kept, regime)

    def heal(self, name: str, now_ms: int) -> None:
        """Show the events that the regimes of that name hide, from ``now_ms`` on."""
        self._regimes = tuple(
            msgspec.structs.replace(
                one, end_ms=min(one.end_ms, now_ms + 1), healed_ms=min(one.healed_ms, now_ms)
            )
            if one.name == name
            else one
            for one in self._regimes
        )

    def may_hide(self, now_ms: int) -> bool:
        """Whether an event can be hidden at ``now_ms``; most of the time none is."""
        return any(one.hides_until_ms() > now_ms for one in self._regimes)

    def delaying(
        self, stream: str, timestamp: int, message: str, ingested_ms: int
    ) -> Iterator[str]:
        """The names of the regimes that delay the event."""
        for one in self._regimes:
            if one.visible_ms(stream, timestamp, message, ingested_ms) > ingested_ms:
                yield one.name

    def visible_ms(self, stream: str, timestamp: int, message: str, ingested_ms: int) -> int:
        """When the event becomes visible: the latest moment that any regime gives, in ms."""
        latest_ms = ingested_ms
        for one in self._regimes:
            latest_ms = max(latest_ms, one.visible_ms(stream, timestamp, message, ingested_ms))
        return latest_ms
