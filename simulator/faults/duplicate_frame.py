"""``duplicate_frame``: messages of the forwarder arrive twice."""

from __future__ import annotations

from simulator.faults.network import StrainingFault
from simulator.network.toxics import FrameStrain, Strain


class DuplicateFrame(StrainingFault):
    """Sends whole WebSocket messages of the forwarder's twice.

    ``toxicity`` is the share of the messages that it hits.

    A correct viewer sees from ``n`` that it has had this one, and closes with 4010 and resumes,
    or ignores it: nothing is doubled.

    """

    type = "duplicate_frame"
    toxicity_default = 0.1

    def strain(self) -> Strain:
        """What the connections suffer."""
        return FrameStrain("duplicate", self.toxicity)
