"""Inconsistent answers of the model CloudWatch: pages that contradict what is stored."""

from __future__ import annotations

from collections.abc import Collection
from random import Random

from msgspec.structs import replace

from forwarder.records import LogEvent
from tests.simulation.cloudwatch import CloudWatch, Place

LIES = ("other time", "other stream", "two streams", "scrambled", "pages swapped", "unreadable",
        "token refused")  # fmt: skip
"""How pages can be wrong; each is a trouble of that name."""


class Lies:
    """Distorts pages on their way to the forwarder, each kind until some time."""

    def __init__(self, cloudwatch: CloudWatch, random: Random) -> None:
        """Distort nothing yet."""
        self.cloudwatch = cloudwatch
        self.random = random
        self.until: dict[str, int] = {}
        self.unreadable: set[int] = set()
        """Timestamps of the unreadable events that scans returned."""
        self.told = 0
        """Pages that were distorted."""
        self._postponed: dict[tuple[str, int], Place] = {}

    def _tells(self, kind: str, now: int) -> bool:
        return self.until.get(kind, -1) >= now and self.random.random() < 0.7

    def page(
        self,
        scan: tuple[str, int],
        from_: int,
        through: int | None,
        token: Place | None,
        limit: int,
        now: int,
        known: Collection[str],
    ) -> tuple[list[LogEvent], Place | None, set[str], bool]:
        """A page, the next token, the ids that it returned truly, and if its token was refused."""
        store = self.cloudwatch
        is_resumed = False
        if token is not None and self._tells("token refused", now):
            # The scan goes on from the last timestamp seen; pages not served yet are skipped.
            token, is_resumed = (token[0], -1), True
            self._postponed.pop(scan, None)
            self.told += 1
        events, following = store.page(from_, through, token, limit, now)
        if token is None and following is not None and self._tells("pages swapped", now):
            self._postponed[scan] = from_, -1
            events, following = store.page(from_, through, following, limit, now)
            self.told += 1
        if following is None:
            following = self._postponed.pop(scan, None)
        events, true = self._distort(events, known, now)
        return events, following, true, is_resumed

    def _distort(
        self, events: list[LogEvent], known: Collection[str], now: int
    ) -> tuple[list[LogEvent], set[str]]:
        true = {event.id for event in events}
        changed = list(events)
        for place, event in enumerate(events):
            other = replace(event, stream=f"{event.stream}x")
            if event.id in known and self._tells("other time", now):
                changed[place] = replace(event, timestamp=event.timestamp + 1)
            elif event.id in known and self._tells("other stream", now):
                changed[place] = other
            elif self._tells("two streams", now):
                changed.append(other)
            else:
                continue
            true.discard(event.id)
            break
        if events and self._tells("unreadable", now):
            timestamp = events[0].timestamp
            self.unreadable.add(timestamp)
            changed.append(LogEvent("x-1", timestamp, now, "job/a1", "unreadable"))
        if changed and self._tells("scrambled", now):
            self.random.shuffle(changed)
        self.told += changed != events
        return changed, true
