"""``drop_frame``: messages of the forwarder get lost."""

from __future__ import annotations

from simulator.faults.network import StrainingFault
from simulator.network.toxics import FrameStrain, Strain


class DropFrame(StrainingFault):
    """Takes whole WebSocket messages of the forwarder's away.

    ``toxicity`` is the share of the messages that it hits.

    A correct viewer sees from ``n`` that one is missing, closes with 4010 and resumes at its
    cursor: nothing is lost.

    """

    type = "drop_frame"
    toxicity_default = 0.1

    def strain(self) -> Strain:
        """What the connections suffer."""
        return FrameStrain("drop", self.toxicity)
