"""``mute_heartbeat``: heartbeats do not arrive."""

from __future__ import annotations

from simulator.faults.network import FOR_MS, StrainingFault
from simulator.network.toxics import FrameStrain, Strain


class MuteHeartbeat(StrainingFault):
    """Takes the forwarder's heartbeats away, and nothing else.

    Attributes:
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the heartbeats that it hits.

    A correct viewer is never silently idle: it closes with 4012 when nothing came for two
    heartbeats, or with 4010 when the next message shows that one is missing, and resumes.

    """

    type = "mute_heartbeat"
    attributes = (FOR_MS,)

    def strain(self) -> Strain:
        """What the connections suffer."""
        return FrameStrain("mute_heartbeat", self.toxicity)
