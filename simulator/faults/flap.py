"""``flap``: an event is in one scan and not in the next."""

from __future__ import annotations

from zlib import crc32

from simulator.cloudwatch.levers import Lever, StoredEvent
from simulator.faults.base import DAY_MS, Attribute, Cycle, LeverFault
from simulator.faults.network import FOR_MS

_BITS = 32


class FlapLever(Lever):
    """Hides other events in each period."""

    def hides(self, event: StoredEvent, now_ms: int) -> bool:
        """Whether the event is away in this period; every read of the period says the same."""
        period = now_ms // self.attributes["period_ms"]
        drawn = crc32(f"{self.seed} {event.id} {period}".encode())
        return drawn / (1 << _BITS) < self.toxicity


class Flap(LeverFault):
    """Hides a share of the events for a while, then others; all have been there before.

    Attributes:
        period_ms: how long the same ones are away.
        for_ms: how long it goes on; 0 = until healed.

    ``toxicity`` is the share of the events that is away at a time.

    A correct system keeps what it has seen, and marks nothing from a scan that failed to return
    what it knows.

    """

    type = "flap"
    lever = FlapLever
    toxicity_default = 0.1
    attributes = (
        Attribute("period_ms", 3_000, DAY_MS, "how long the same are away", minimum=1),
        FOR_MS,
    )

    def cycle(self) -> Cycle:
        """On for ``for_ms``, or until healed."""
        return Cycle(on_ms=self.values["for_ms"] or None)
