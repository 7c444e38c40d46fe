"""What the faults of the live path have in common.

``subscription_delay``: the subscription filter lags.

``subscription_duplicate``: records are delivered twice.

``subscription_reorder``: records arrive in another order.

``subscription_skip``: the subscription filter leaves records out.

``subscription_stop``: the subscription filter is disabled.
"""

from __future__ import annotations

from zlib import crc32

from simulator.cloudwatch.levers import Batch, Lever
from simulator.faults.base import DAY_MS, Attribute, Cycle, LeverFault
from simulator.faults.network import FOR_MS

__all__ = ["FOR_MS", "SubscriptionFault", "SubscriptionLever"]


class SubscriptionLever(Lever):
    """Spoils the records of subscription filters; probes are let through."""

    def deliver(self, batches: list[Batch]) -> list[Batch]:
        """What is sent in place of these batches."""
        return [
            sent
            for batch in batches
            for sent in (self.spoil(batch) if batch.message_type == "DATA_MESSAGE" else [batch])
        ]

    def spoil(self, batch: Batch) -> list[Batch]:
        """What is sent in place of one batch."""
        return [batch]


class SubscriptionFault(LeverFault):
    """A fault with a ``SubscriptionLever``."""

    def cycle(self) -> Cycle:
        """On for ``for_ms``, where the fault has it; else until healed."""
        return Cycle(on_ms=self.values.get("for_ms") or None)


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
