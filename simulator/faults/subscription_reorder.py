"""``subscription_reorder``: records arrive in another order."""

from __future__ import annotations

from simulator.cloudwatch.levers import Batch
from simulator.faults.base import DAY_MS, Attribute
from simulator.faults.live_path import FOR_MS, SubscriptionFault, SubscriptionLever


class ReorderLever(SubscriptionLever):
    """Sends each record at a time of its own."""

    def spoil(self, batch: Batch) -> list[Batch]:
        """The same, later by a random time, its events in another order."""
        if not self.hits():
            return [batch]
        late_ms = int(self.draw() * self.attributes["within_ms"])
        return [batch._replace(due_ms=batch.due_ms + late_ms, events=batch.events[::-1])]


class SubscriptionReorder(SubscriptionFault):
    """Sends records of subscription filters in another order, and the events in them backwards.

    Attributes:
        within_ms: how far records may change places.
        for_ms: how long it goes on; 0 = until healed.

    ``toxicity`` is the share of the records that it hits.

    A correct system shows the events in order.

    """

    type = "subscription_reorder"
    lever = ReorderLever
    attributes = (Attribute("within_ms", 1_000, DAY_MS, "how far they change places"), FOR_MS)
