"""``burst``: executions that write much at once."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.acceptance import NewEvent
from simulator.faults.base import DAY_MS, Attribute
from simulator.faults.workload import EVERY_MS, Writing, WritingFault
from simulator.workload.lines import message


class Burst(WritingFault):
    """Writes many ordinary lines at once, stack traces and JSON among them.

    Attributes:
        events: how many.
        span_ms: their timestamps lie in so many ms before now.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of them that is written at all.

    A correct system shows them all; keys stay quick meanwhile, the forwarder's memory stays
    bounded, and the lag is shown until it is caught up.

    """

    type = "burst"
    attributes = (
        Attribute("events", 20_000, 500_000, "lines", minimum=1),
        Attribute("span_ms", 1_000, DAY_MS, "spread over so many ms before now"),
        EVERY_MS,
    )

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """Over all streams."""
        events, span_ms = self.values["events"], self.values["span_ms"]
        for number in range(events):
            text = message(number, number / events, writing.rng)
            if self.hits(writing):
                at_ms = writing.now_ms - span_ms + span_ms * number // events
                yield NewEvent(writing.stream(number), at_ms, text)
