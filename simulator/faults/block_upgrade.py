"""``block_upgrade``: a middlebox lets HTTP through, and no WebSocket."""

from __future__ import annotations

from simulator.faults.network import FOR_MS, StrainingFault
from simulator.network.toxics import BlockUpgrade, Strain


class BlockUpgradeFault(StrainingFault):
    """Answers requests for a WebSocket with 502, and resets those that are open already.

    Attributes:
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the connections that it hits. Plain requests pass.

    A correct viewer goes on by polling, says that it is degraded, and loses nothing; it comes
    back to the WebSocket when it can.

    """

    type = "block_upgrade"
    attributes = (FOR_MS,)

    def strain(self) -> Strain:
        """What the connections suffer."""
        return BlockUpgrade()
