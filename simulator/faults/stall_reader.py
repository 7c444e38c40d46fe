"""``stall_reader``: a viewer does not read any more, and stays connected."""

from __future__ import annotations

from simulator.faults.network import FOR_MS, StrainingFault
from simulator.network.toxics import Hold, Strain


class StallReader(StrainingFault):
    """Stops reading from the forwarder, as a viewer does that is stopped or hangs.

    Attributes:
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the viewers that it hits. What they send still arrives.

    A correct forwarder's memory stays bounded, the other viewers' latency is unaffected, and the
    stalled one is let go of (4008, or aborted) if it stays stuck. It resumes exactly.

    """

    type = "stall_reader"
    attributes = (FOR_MS,)

    def strain(self) -> Strain:
        """What the connections suffer."""
        return Hold(both_ways=False)
