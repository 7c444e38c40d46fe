"""``late_events``: events that were written long after their time."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.acceptance import NewEvent
from simulator.faults.base import DAY_MS, Attribute
from simulator.faults.workload import EVERY_MS, Writing, WritingFault

OLDEST_MS = 14 * DAY_MS - 60_000
"""What is older than 14 days is refused; a minute for the way there."""


class LateEvents(WritingFault):
    """Writes events with timestamps of the past, as far as CloudWatch takes them: 14 days.

    Attributes:
        events: how many.
        late_ms: how late they are.
        jitter_ms: more or less by up to this, each by an amount of its own.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of them that are late. CloudWatch refuses what is older than its
    log group's retention.

    A correct system finds them with the scans that reach back so far, shows them where they
    belong, marked as late, and never moves what the reader looks at.

    """

    type = "late_events"
    attributes = (
        Attribute("events", 20, 10_000, "late events", minimum=1),
        Attribute("late_ms", 60_000, 14 * DAY_MS, "how late"),
        Attribute("jitter_ms", 0, 14 * DAY_MS, "more or less by up to this"),
        EVERY_MS,
    )

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """Over all streams."""
        late_ms, jitter_ms = self.values["late_ms"], self.values["jitter_ms"]
        for number in range(self.values["events"]):
            drawn_ms = late_ms + writing.rng.randint(-jitter_ms, jitter_ms)
            by_ms = max(0, min(drawn_ms, OLDEST_MS)) if self.hits(writing) else 0
            text = f"INFO  {self.name} {writing.turn}: {number} was {by_ms} ms under way"
            yield NewEvent(writing.stream(number), writing.now_ms - by_ms, text)
