"""A model of CloudWatch Logs: written events, their visibility, retention and deletion. Pure.

Pages are sorted like FilterLogEvents (timestamp, then ingestion), and a next token is a position
in that order. A running scan misses events that become visible before its token, as on AWS.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from operator import attrgetter

from msgspec.structs import replace

from forwarder.records import LogEvent

Place = tuple[int, int]
"""(timestamp, number of the write): the order in which scans return events."""

_place = attrgetter("place")

MASK = "masked: "
"""What precedes the altered text of an event."""


def first_text(message: str) -> str:
    """The text with which an event was written."""
    return message.removeprefix(MASK)


@dataclass(eq=False, slots=True)
class Stored:
    """An accepted event and when it is visible."""

    event: LogEvent
    place: Place
    generation: int
    """How often the log group had been recreated when it was written."""
    visible_at: int
    hidden: list[tuple[int, int]] = field(default_factory=list)
    """Time ranges (inclusive) in which requests do not return it."""
    gone_at: int | None = None
    """When it was deleted, with its stream or group or by retention; None if it exists."""
    masked: list[int] = field(default_factory=list)
    """When its text was masked and unmasked, in turn."""

    def text_at(self, moment: int) -> str:
        """Text that a request at that time returns."""
        changes = sum(at <= moment for at in self.masked)
        return (MASK if changes % 2 else "") + self.event.message

    def is_same_throughout(self, start: int, end: int) -> bool:
        """Whether all requests from ``start`` through ``end`` return the same text."""
        return not any(start <= at <= end for at in self.masked)

    @property
    def put_at(self) -> int:
        """Time of writing."""
        assert self.event.ingestion_time is not None
        return self.event.ingestion_time

    def is_visible(self, now: int) -> bool:
        """Whether a request at that time returns it."""
        return self.visible_at <= now and not any(a <= now <= b for a, b in self.hidden)

    def is_there(self, now: int) -> bool:
        """Whether it exists, even if requests do not return it."""
        return self.gone_at is None or self.gone_at > now

    def is_visible_throughout(self, start: int, end: int) -> bool:
        """Whether all requests from ``start`` through ``end`` return it."""
        return (
            self.visible_at < start
            and self.is_there(end)
            and not any(a <= end and b >= start for a, b in self.hidden)
        )


class CloudWatch:
    """One log group, which may be recreated."""

    def __init__(self, *, counted_ids: bool) -> None:
        """Create the log group; with ``counted_ids``, ids restart at "0" in each, as in moto."""
        self.counted_ids = counted_ids
        self.ledger: list[Stored] = []
        """All events ever accepted."""
        self.stored: list[Stored] = []
        """Existing events, in scan order."""
        self.generation = 0
        self.created_at = -1
        """When the log group was created."""
        self.created: dict[str, int] = {}
        """Creation times of existing log streams."""
        self.remade: set[str] = set()
        """Log streams that were deleted at least once."""
        self.retention_ms: int | None = None
        """Retention of events; None for unlimited."""
        self._ids = 0

    def put(self, stream: str, timestamp: int, message: str, now: int, delay: int) -> Stored:
        """Accept one event, visible ``delay`` ms from now."""
        number = len(self.ledger)
        event_id = str(self._ids if self.counted_ids else timestamp << 40 | number)
        event = LogEvent(event_id, timestamp, now, stream, message)
        self.created.setdefault(stream, now)
        stored = Stored(event, (timestamp, number), self.generation, now + delay)
        self._ids += 1
        self.ledger.append(stored)
        insort(self.stored, stored, key=_place)
        return stored

    def page(
        self, from_: int, through: int | None, token: Place | None, limit: int, now: int
    ) -> tuple[list[LogEvent], Place | None]:
        """At most ``limit`` events of a range, and the next page's token or None."""
        index = bisect_left(self.stored, token or (from_, -1), key=_place)
        found: list[LogEvent] = []
        for at in range(index, len(self.stored)):
            stored = self.stored[at]
            if through is not None and stored.place[0] > through:
                break
            if stored.is_visible(now):
                if len(found) == limit:
                    return found, stored.place
                is_plain = not stored.masked
                text = stored.event.message if is_plain else stored.text_at(now)
                found.append(stored.event if is_plain else replace(stored.event, message=text))
        return found, None

    def delete_stream(self, stream: str, now: int) -> None:
        """Delete a log stream and its events."""
        self.created.pop(stream, None)
        self.remade.add(stream)
        self._remove([one for one in self.stored if one.event.stream == stream], now)

    def expire(self, from_: int, through: int, spared: set[str], now: int) -> None:
        """Delete the events of a range, except those with ids in ``spared``."""
        inside = [one for one in self.stored if from_ <= one.event.timestamp <= through]
        self._remove([one for one in inside if one.event.id not in spared], now)

    def keep_retention(self, now: int) -> None:
        """Delete expired events at once (AWS takes some time)."""
        if self.retention_ms is not None:
            before = now - self.retention_ms
            self._remove([one for one in self.stored if one.event.timestamp < before], now)

    def recreate(self, now: int) -> None:
        """Delete and recreate the log group; counted ids restart."""
        self._remove(self.stored, now)
        self.generation += 1
        self.created_at = now
        self.remade |= set(self.created)
        self.created = {}
        self._ids = 0

    def _remove(self, gone: list[Stored], now: int) -> None:
        for one in gone:
            one.gone_at = now
        self.stored = [one for one in self.stored if one.gone_at is None]
