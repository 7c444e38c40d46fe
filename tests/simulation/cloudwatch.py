"""A model of CloudWatch Logs: what was put, what can be seen when, and what it hides.

Pure and in virtual time. Sorted as FilterLogEvents sorts (timestamp, then ingestion), in pages
whose next token is a place in that order: an event that becomes visible behind the token of a
running scan is missed by this scan, as on AWS.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from operator import attrgetter

from forwarder.records import LogEvent

Place = tuple[int, int]
"""(timestamp, number of the put): the order of a scan."""

_place = attrgetter("place")


@dataclass(eq=False, slots=True)
class Stored:
    """An event that CloudWatch accepted, and when it can be seen."""

    event: LogEvent
    place: Place
    generation: int
    """How many groups of that name there were before its own."""
    visible_at: int
    hidden: list[tuple[int, int]] = field(default_factory=list)
    """Spans of time (inclusive) in which it is not returned although it is there."""
    gone_at: int | None = None
    """When it was deleted, with its stream, its group or by retention."""

    @property
    def put_at(self) -> int:
        """When it was written."""
        assert self.event.ingestion_time is not None
        return self.event.ingestion_time

    def is_visible(self, now: int) -> bool:
        """Whether a request at that moment returns it."""
        return self.visible_at <= now and not any(a <= now <= b for a, b in self.hidden)

    def is_there(self, now: int) -> bool:
        """Whether it is not deleted, returned or not."""
        return self.gone_at is None or self.gone_at > now

    def is_visible_throughout(self, start: int, end: int) -> bool:
        """Whether every request from ``start`` through ``end`` returns it."""
        return (
            self.visible_at < start
            and self.is_there(end)
            and not any(a <= end and b >= start for a, b in self.hidden)
        )


class CloudWatch:
    """One log group, which may be deleted and made anew."""

    def __init__(self, *, counted_ids: bool) -> None:
        """``counted_ids``: ids "0", "1", ... from anew in every group, as moto gives them."""
        self.counted_ids = counted_ids
        self.ledger: list[Stored] = []
        """Everything that was ever accepted."""
        self.stored: list[Stored] = []
        """What is there, in the order of a scan."""
        self.generation = 0
        self.created: dict[str, int] = {}
        """The log streams that exist, with when they were made."""
        self.remade: set[str] = set()
        """Names of log streams that were deleted at least once."""
        self.retention_ms: int | None = None
        """How long events are kept; None: for ever."""
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
        """At most ``limit`` events of a range, and the token of the next page or None."""
        index = bisect_left(self.stored, token or (from_, -1), key=_place)
        found: list[LogEvent] = []
        for at in range(index, len(self.stored)):
            stored = self.stored[at]
            if through is not None and stored.place[0] > through:
                break
            if stored.is_visible(now):
                if len(found) == limit:
                    return found, stored.place
                found.append(stored.event)
        return found, None

    def delete_stream(self, stream: str, now: int) -> None:
        """The stream and its events are gone."""
        self.created.pop(stream, None)
        self.remade.add(stream)
        self._remove([one for one in self.stored if one.event.stream == stream], now)

    def expire(self, from_: int, through: int, spared: set[str], now: int) -> None:
        """Events of a range are gone, but for those whose ids are ``spared``."""
        inside = [one for one in self.stored if from_ <= one.event.timestamp <= through]
        self._remove([one for one in inside if one.event.id not in spared], now)

    def keep_retention(self, now: int) -> None:
        """What is older than the retention setting goes at once, on AWS after some time."""
        if self.retention_ms is not None:
            before = now - self.retention_ms
            self._remove([one for one in self.stored if one.event.timestamp < before], now)

    def recreate(self, now: int) -> None:
        """The group is deleted and created again: counted ids begin anew."""
        self._remove(self.stored, now)
        self.generation += 1
        self.remade |= set(self.created)
        self.created = {}
        self._ids = 0

    def _remove(self, gone: list[Stored], now: int) -> None:
        for one in gone:
            one.gone_at = now
        self.stored = [one for one in self.stored if one.gone_at is None]
