"""``blackhole``: the link is dead, and nobody says so."""

from __future__ import annotations

from simulator.faults.network import FOR_MS, StrainingFault
from simulator.network.toxics import Hold, Strain


class Blackhole(StrainingFault):
    """Lets nothing through, either way, no end and no reset either: a half-open link.

    Attributes:
        for_ms: how long; 0 = until healed. What was sent meanwhile arrives then, as after TCP's
            retransmission, unless its connection was given up.

    ``toxicity`` is the share of the connections that it hits; a new one is accepted and gets no
    answer.

    A correct viewer notices within two heartbeats that nothing comes, says so, and tries again;
    it resumes exactly. Its screen never calls a dead link quiet.

    """

    type = "blackhole"
    attributes = (FOR_MS,)

    def strain(self) -> Strain:
        """What the connections suffer."""
        return Hold(both_ways=True)
