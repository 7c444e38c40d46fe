"""Pure: what one PutLogEvents call takes, by AWS's rules, and what it says it did not take.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from simulator.errors import SimulatorError

BATCH_BYTES_MAX: Final = 1_048_576
BATCH_EVENTS_MAX: Final = 10_000
BATCH_SPAN_MS_MAX: Final = 24 * 3_600_000
EVENT_OVERHEAD_BYTES: Final = 26

SURE_PAST_MS: Final = 13 * 24 * 3_600_000
"""Events up to 14 days old are accepted; older than this may be refused by the time they come."""

SURE_FUTURE_MS: Final = 3_600_000
"""Events up to 2 h ahead are accepted; likewise."""


class NewEvent(NamedTuple):
    """An event that is to be written; ``timestamp`` in ms since the Unix epoch."""

    stream: str
    timestamp: int
    message: str


class PutBatch(NamedTuple):
    """What one PutLogEvents call writes: events of one log stream, oldest first."""

    stream: str
    events: tuple[NewEvent, ...]


def event_bytes(message: str) -> int:
    """What an event counts towards the size of a batch."""
    return len(message.encode("utf-8", "surrogatepass")) + EVENT_OVERHEAD_BYTES


def batches(events: Iterable[NewEvent], now_ms: int) -> list[PutBatch]:
    """Events of any streams, in any order, as batches that AWS takes.

    An event so old or so far ahead that it may be refused goes alone: moto's
    ``rejectedLogEventsInfo`` is off by one, and of one event alone it can only mean that one.

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
    """The events that were taken, by the answer's ``rejectedLogEventsInfo`` (empty if none)."""
    # End indexes are exclusive, and one that is there refuses at least one event; moto says 0
    # for the first.
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
