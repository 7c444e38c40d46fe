"""``future_events``: events from executions whose clocks are ahead."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.acceptance import NewEvent
from simulator.faults.base import Attribute
from simulator.faults.workload import EVERY_MS, Writing, WritingFault

AHEAD_MS = 2 * 3_600_000 - 10_000
"""What is more than two hours ahead is refused; some seconds for clocks that differ."""


class FutureEvents(WritingFault):
    """Writes events with timestamps of the future, as far as CloudWatch takes them: 2 hours.

    Attributes:
        events: how many.
        ahead_ms: how far ahead they are.
        jitter_ms: more or less by up to this, each by an amount of its own.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of them that are ahead.

    A correct system loses nothing that comes after them: no cursor is a timestamp. It shows them
    in their place, and claims to be complete to no time that is still to come.

    """

    type = "future_events"
    attributes = (
        Attribute("events", 20, 10_000, "events ahead of time", minimum=1),
        Attribute("ahead_ms", 600_000, AHEAD_MS, "how far ahead"),
        Attribute("jitter_ms", 0, AHEAD_MS, "more or less by up to this"),
        EVERY_MS,
    )

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """Over all streams."""
        ahead_ms, jitter_ms = self.values["ahead_ms"], self.values["jitter_ms"]
        for number in range(self.values["events"]):
            drawn_ms = ahead_ms + writing.rng.randint(-jitter_ms, jitter_ms)
            by_ms = max(0, min(drawn_ms, AHEAD_MS)) if self.hits(writing) else 0
            text = f"INFO  {self.name} {writing.turn}: {number} is {by_ms} ms ahead"
            yield NewEvent(writing.stream(number), writing.now_ms + by_ms, text)
