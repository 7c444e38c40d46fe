"""``reset_peer``: connections are reset in the middle of what they carry."""

from __future__ import annotations

from simulator.faults.base import Attribute
from simulator.faults.network import StrainingFault
from simulator.network.toxics import Limit, Strain


class ResetPeer(StrainingFault):
    """Ends each connection after some bytes of the server's, with a reset, mid-frame or not.

    Attributes:
        after_bytes: how many bytes of the server's still arrive, counted for each connection
            from its beginning or from when this was switched on.

    ``toxicity`` is the share of the connections that it hits; while it is on, new ones too.

    A correct viewer resumes at its cursor as often as it takes: nothing is lost or doubled,
    half a frame is nothing.

    """

    type = "reset_peer"
    attributes = (Attribute("after_bytes", 100_000, 1 << 30, "bytes that still arrive"),)

    def strain(self) -> Strain:
        """What the connections suffer."""
        return Limit(self.values["after_bytes"], resets=True)
