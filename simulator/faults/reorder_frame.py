"""``reorder_frame``: messages of the forwarder change places."""

from __future__ import annotations

from simulator.faults.network import StrainingFault
from simulator.network.toxics import FrameStrain, Strain


class ReorderFrame(StrainingFault):
    """Sends a whole WebSocket message of the forwarder's after the one that follows it.

    ``toxicity`` is the share of the messages that it hits.

    A correct viewer sees from ``n`` that the order is broken, closes with 4010 and resumes at
    its cursor: nothing is lost, doubled or out of place.

    """

    type = "reorder_frame"
    toxicity_default = 0.1

    def strain(self) -> Strain:
        """What the connections suffer."""
        return FrameStrain("reorder", self.toxicity)
