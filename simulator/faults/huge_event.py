"""``huge_event``: events as large as CloudWatch takes them."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.acceptance import BATCH_BYTES_MAX, EVENT_OVERHEAD_BYTES, NewEvent
from simulator.faults.base import Attribute
from simulator.faults.workload import EVERY_MS, Writing, WritingFault

BYTES_MAX = BATCH_BYTES_MAX - EVENT_OVERHEAD_BYTES
"""An event alone in its batch."""

WIDE = "é注🚚"


class HugeEvent(WritingFault):
    """Writes events of almost 1 MB, half of it characters that are several bytes each.

    Attributes:
        events: how many.
        bytes: how large each is, in UTF-8.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of them that is huge; the others are short.

    A correct system shows each whole where one asks for it, cut where a row ends; nothing of it
    is altered, and frames that hold one alone are no reason to close.

    """

    type = "huge_event"
    attributes = (
        Attribute("events", 3, 100, "huge events", minimum=1),
        Attribute("bytes", BYTES_MAX, BYTES_MAX, "size of each in UTF-8", minimum=100),
        EVERY_MS,
    )

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """Over all streams."""
        for number in range(self.values["events"]):
            head = f"INFO  {self.name} {writing.turn}: {number} "
            rest = self.values["bytes"] - len(head) if self.hits(writing) else 0
            wide = rest // 2 // len(WIDE.encode())
            text = head + WIDE * wide + "x" * (rest - wide * len(WIDE.encode()))
            yield NewEvent(writing.stream(number), writing.now_ms, text)
