"""``out_of_order_batches``: what was logged first is written last."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.acceptance import NewEvent
from simulator.errors import SimulatorError
from simulator.faults.base import DAY_MS, Attribute
from simulator.faults.workload import EVERY_MS, Writing, WritingFault

OLDEST_MS = 13 * DAY_MS


class OutOfOrderBatches(WritingFault):
    """Writes several batches, the newest first: as after a log agent's retries.

    Attributes:
        batches: how many PutLogEvents calls.
        events: how many events in each, over all running executions.
        step_ms: how much older each batch is than the one written before it.
        every_ms: again that long after; 0 = once.

    ``toxicity`` is the share of the batches that are older; the others have their time.

    A correct system shows them in the order of their timestamps, wherever they came in; a cursor
    that has seen the newest loses none of the older ones.

    """

    type = "out_of_order_batches"
    attributes = (
        Attribute("batches", 10, 50, "calls", minimum=1),
        Attribute("events", 50, 10_000, "events in each", minimum=1),
        Attribute("step_ms", 1_000, DAY_MS, "how much older each is than the one before"),
        EVERY_MS,
    )

    def check(self) -> None:
        """CloudWatch takes nothing older than 14 days.

        Raises:
            SimulatorError: they would be.

        """
        if self.values["batches"] * self.values["step_ms"] > OLDEST_MS:
            msg = f"batches times step_ms must be at most {OLDEST_MS}, 13 days"
            raise SimulatorError(msg)

    def calls(self) -> int:
        """A call for each batch."""
        return self.values["batches"]

    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """One batch."""
        by_ms = writing.call * self.values["step_ms"] if self.hits(writing) else 0
        for number in range(self.values["events"]):
            text = f"INFO  {self.name} {writing.turn}: batch {writing.call}, event {number}"
            yield NewEvent(writing.stream(number), writing.now_ms - by_ms + number % 100, text)
