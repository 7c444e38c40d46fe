"""``identical_messages``: events that are equal in everything but their ids."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.acceptance import NewEvent
from simulator.faults.base import Attribute
from simulator.faults.workload import EVERY_MS, Writing, WritingFault


class IdenticalMessages(WritingFault):
    """Writes the same message with the same timestamp into the same log stream many times.

    Attributes:
        events: how many.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of them that are equal; the others have numbers.

    A correct system shows every one of them: each is an event with an id of its own. One that
    knows events by what they say shows one.

    """

    type = "identical_messages"
    attributes = (
        Attribute("events", 100, 100_000, "equal events", minimum=1),
        EVERY_MS,
    )

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """All in one stream and millisecond."""
        for number in range(self.values["events"]):
            text = "WARN  retrying" if self.hits(writing) else f"WARN  retrying ({number})"
            yield NewEvent(writing.stream(0), writing.now_ms, text)
