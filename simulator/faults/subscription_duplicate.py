"""``subscription_duplicate``: records are delivered twice."""

from __future__ import annotations

from simulator.cloudwatch.levers import Batch
from simulator.faults.base import DAY_MS, Attribute
from simulator.faults.live_path import FOR_MS, SubscriptionFault, SubscriptionLever


class DuplicateLever(SubscriptionLever):
    """Sends again."""

    def spoil(self, batch: Batch) -> list[Batch]:
        """The same, and once more."""
        if not self.hits():
            return [batch]
        return [batch, batch._replace(due_ms=batch.due_ms + self.attributes["after_ms"])]


class SubscriptionDuplicate(SubscriptionFault):
    """Sends records of subscription filters twice: delivery is at least once, says AWS.

    Attributes:
        after_ms: how much later the second one is sent.
        for_ms: how long it goes on; 0 = until healed.

    ``toxicity`` is the share of the records that it hits.

    A correct system shows each event once.

    """

    type = "subscription_duplicate"
    lever = DuplicateLever
    toxicity_default = 0.5
    attributes = (Attribute("after_ms", 500, DAY_MS, "how much later the second comes"), FOR_MS)
