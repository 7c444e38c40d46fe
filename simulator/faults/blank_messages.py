"""``blank_messages``: events that say nothing one can see."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.acceptance import NewEvent
from simulator.faults.base import Attribute
from simulator.faults.workload import EVERY_MS, Writing, WritingFault

BLANKS = (" ", "\t", "\n", "   ", "\r\n", "\u00a0", "\u3000", "\u200b", "\n\n\n")
"""One character at least; the last but one has no width at all."""


class BlankMessages(WritingFault):
    """Writes messages of blank characters: spaces, tabs, line ends; CloudWatch wants one at least.

    Attributes:
        events: how many.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of them that are blank.

    A correct system shows a row for each, however empty it looks, and counts it.

    """

    type = "blank_messages"
    attributes = (
        Attribute("events", 20, 10_000, "blank events", minimum=1),
        EVERY_MS,
    )

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """A blank of some kind after another, over all streams."""
        for number in range(self.values["events"]):
            text = BLANKS[number % len(BLANKS)] if self.hits(writing) else "not blank"
            yield NewEvent(writing.stream(number), writing.now_ms, text)
