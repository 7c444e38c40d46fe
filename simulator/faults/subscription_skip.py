"""``subscription_skip``: the subscription filter leaves records out."""

from __future__ import annotations

from simulator.cloudwatch.levers import Batch
from simulator.faults.live_path import FOR_MS, SubscriptionFault, SubscriptionLever


class SkipLever(SubscriptionLever):
    """Sends nothing in place of a record."""

    def spoil(self, batch: Batch) -> list[Batch]:
        """Nothing, or the same."""
        return [] if self.hits() else [batch]


class SubscriptionSkip(SubscriptionFault):
    """Leaves records of subscription filters out, for good.

    Attributes:
        for_ms: how long it goes on; 0 = until healed.

    ``toxicity`` is the share of the records that it hits.

    A correct system finds the events with its next scan, and shows them as repaired.

    """

    type = "subscription_skip"
    lever = SkipLever
    toxicity_default = 0.5
    attributes = (FOR_MS,)
