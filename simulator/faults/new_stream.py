"""``new_stream``: log streams that are made while somebody watches."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.acceptance import NewEvent
from simulator.faults.base import Attribute
from simulator.faults.workload import EVERY_MS, Writing, WritingFault


class NewStream(WritingFault):
    """Makes new log streams, as new executions do, and writes into them at once.

    Attributes:
        streams: how many log streams.
        events: how many events in each.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of the events that go to the new streams; the others go to the
    running executions'.

    A correct system shows them without being told that there is a new stream; where a filter
    has it out, it is not shown.

    """

    type = "new_stream"
    attributes = (
        Attribute("streams", 3, 1_000, "log streams", minimum=1),
        Attribute("events", 10, 10_000, "events in each", minimum=1),
        EVERY_MS,
    )

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """The first words of each, and what comes after them."""
        for place in range(self.values["streams"]):
            stream = f"job/main/{writing.rng.getrandbits(48):012x}"
            for number in range(self.values["events"]):
                text = f"INFO  {self.name} {writing.turn}: stream {place}, event {number}"
                where = stream if self.hits(writing) else writing.stream(number)
                yield NewEvent(where, writing.now_ms, text)
