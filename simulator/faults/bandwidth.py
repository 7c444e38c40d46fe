"""``bandwidth``: the link between viewer and forwarder is narrow."""

from __future__ import annotations

from simulator.faults.base import Attribute
from simulator.faults.network import StrainingFault
from simulator.network.toxics import Bandwidth, Strain


class BandwidthFault(StrainingFault):
    """Lets no more through than a narrow link does, each way, on a share of the connections.

    Attributes:
        rate_kbps: kilobits (1,000 bits) a second, for each connection and each way.

    ``toxicity`` is the share of the connections that it hits.

    A correct system is slower: nothing is lost, doubled or out of place, and the forwarder's
    memory stays bounded, since a viewer is a cursor and not a queue.

    """

    type = "bandwidth"
    attributes = (
        Attribute("rate_kbps", 500, 10_000_000, "kilobits a second, each way", minimum=1),
    )

    def strain(self) -> Strain:
        """What the connections suffer."""
        return Bandwidth(self.values["rate_kbps"])
