"""Faults on the live path, between CloudWatch's subscription filter and the forwarder.

The levers run inside the CloudWatch stand-in.
"""

from __future__ import annotations

from typing import Final

from simulator.cloudwatch.levers import Batch, Lever
from simulator.faults.base import DAY_MS, FOR_MS, Attribute, FaultType
from simulator.faults.cloudwatch import engage, share_of_name


class SubscriptionLever(Lever):
    """Changes the records of subscription filters that it hits; probes pass unchanged."""

    counts = "records"

    def deliver(self, batches: list[Batch]) -> list[Batch]:
        """Replace the batches of events that are hit; other batches stay."""
        return [
            sent
            for batch in batches
            for sent in (
                self.replace(batch)
                if batch.message_type == "DATA_MESSAGE" and self.hits(batch)
                else [batch]
            )
        ]

    def hits(self, batch: Batch) -> bool:
        """Draw whether a batch is hit."""
        del batch
        return self.draw_hit()

    def replace(self, batch: Batch) -> list[Batch]:
        """The batches to send in place of a batch that is hit: none, unless overridden."""
        del batch
        return []


class DelayLever(SubscriptionLever):
    """Sends records later."""

    def replace(self, batch: Batch) -> list[Batch]:
        """The same batch, due later."""
        return [batch._replace(due_ms=batch.due_ms + self.attributes["delay_ms"])]


class DuplicateLever(SubscriptionLever):
    """Sends records twice."""

    def replace(self, batch: Batch) -> list[Batch]:
        """The same batch, and again later."""
        return [batch, batch._replace(due_ms=batch.due_ms + self.attributes["after_ms"])]


class ReorderLever(SubscriptionLever):
    """Sends each record after a delay of its own."""

    def replace(self, batch: Batch) -> list[Batch]:
        """The same batch after a random delay, its events backwards."""
        late_ms = int(self.draw() * self.attributes["within_ms"])
        return [batch._replace(due_ms=batch.due_ms + late_ms, events=batch.events[::-1])]


class StopLever(SubscriptionLever):
    """Sends no records of some log streams."""

    def hits(self, batch: Batch) -> bool:
        """Whether the batch's log stream is hit."""
        return share_of_name(f"{self.seed} {batch.stream}") < self.toxicity


LIVE_PATH: Final = (
    FaultType(
        "subscription_delay",
        "Sends the records of subscription filters later.",
        engage,
        (Attribute("delay_ms", 5_000, DAY_MS, "how much later records are sent"), FOR_MS),
        lever=DelayLever,
    ),
    FaultType(
        "subscription_duplicate",
        "Sends records of subscription filters twice: delivery is at least once, says AWS.",
        engage,
        (Attribute("after_ms", 500, DAY_MS, "delay of the second delivery"), FOR_MS),
        toxicity=0.5,
        lever=DuplicateLever,
    ),
    FaultType(
        "subscription_reorder",
        "Sends records of subscription filters in another order, and the events in them backwards.",
        engage,
        (Attribute("within_ms", 1_000, DAY_MS, "how far they are reordered"), FOR_MS),
        lever=ReorderLever,
    ),
    FaultType(
        "subscription_skip",
        "Leaves records of subscription filters out, for good.",
        engage,
        (FOR_MS,),
        toxicity=0.5,
        lever=SubscriptionLever,
    ),
    FaultType(
        "subscription_stop",
        "Sends nothing at all, as AWS does for up to ten minutes after a destination refused.",
        engage,
        (FOR_MS,),
        lever=StopLever,
    ),
)
"""Every fault of the live path."""
