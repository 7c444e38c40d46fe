"""``subscription_delay``: the subscription filter lags."""

from __future__ import annotations

from simulator.cloudwatch.levers import Batch
from simulator.faults.base import DAY_MS, Attribute
from simulator.faults.live_path import FOR_MS, SubscriptionFault, SubscriptionLever


class DelayLever(SubscriptionLever):
    """Sends later."""

    def spoil(self, batch: Batch) -> list[Batch]:
        """The same, later."""
        if not self.hits():
            return [batch]
        return [batch._replace(due_ms=batch.due_ms + self.attributes["delay_ms"])]


class SubscriptionDelay(SubscriptionFault):
    """Sends the records of subscription filters later.

    Attributes:
        delay_ms: how much later.
        for_ms: how long it goes on; 0 = until healed.

    ``toxicity`` is the share of the records that it hits.

    A correct system shows the events when a scan finds them, or the record comes, whichever is
    first, in their place; nobody waits for the live path.

    """

    type = "subscription_delay"
    lever = DelayLever
    attributes = (Attribute("delay_ms", 5_000, DAY_MS, "how much later records are sent"), FOR_MS)
