"""``subscription_stop``: the subscription filter is disabled."""

from __future__ import annotations

from zlib import crc32

from simulator.cloudwatch.levers import Batch
from simulator.faults.live_path import FOR_MS, SubscriptionFault, SubscriptionLever

_BITS = 32


class StopLever(SubscriptionLever):
    """Sends nothing any more."""

    def spoil(self, batch: Batch) -> list[Batch]:
        """Nothing, or the same: for one log stream always the one or the other."""
        drawn = crc32(f"{self.seed} {batch.stream}".encode("utf-8", "surrogatepass"))
        return [] if drawn / (1 << _BITS) < self.toxicity else [batch]


class SubscriptionStop(SubscriptionFault):
    """Sends nothing at all, as AWS does for up to ten minutes after a destination refused.

    Attributes:
        for_ms: how long; 0 = until healed. What is written meanwhile is skipped for good.

    ``toxicity`` is the share of the log streams that it hits.

    A correct system goes on from scans alone and says that its live path is silent; nothing is
    lost, it only comes later.

    """

    type = "subscription_stop"
    lever = StopLever
    attributes = (FOR_MS,)
