"""What the faults of the live path have in common."""

from __future__ import annotations

from simulator.cloudwatch.levers import Batch, Lever
from simulator.faults.base import Cycle, LeverFault
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
