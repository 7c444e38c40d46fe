"""``disconnect``: the cable between viewer and forwarder is out."""

from __future__ import annotations

from simulator.errors import SimulatorError
from simulator.faults.base import DAY_MS, Attribute, Cycle, Fault, Levers


class Disconnect(Fault):
    """Cuts every connection at once, as a reset, and refuses new ones while it is on.

    Attributes:
        down_ms: how long the cable is out; 0 = until it is plugged in again.
        every_ms: it is pulled again that long after the last time; 0 = once.

    ``toxicity`` is the share of the connections that it hits.

    A correct viewer says at once that it is offline. When the cable is back it resumes at its
    cursor: nothing is lost, doubled or out of place, and a rule in the list says how long it was
    away and how much it recovered.

    """

    type = "disconnect"
    attributes = (
        Attribute("down_ms", 0, DAY_MS, "how long the cable is out, 0 = until plugged in"),
        Attribute("every_ms", 0, DAY_MS, "pulled again after, 0 = once"),
    )

    def check(self) -> None:
        """``every_ms`` needs a ``down_ms`` below it.

        Raises:
            SimulatorError: it has none.

        """
        down_ms, every_ms = self.values["down_ms"], self.values["every_ms"]
        if every_ms and not 0 < down_ms < every_ms:
            msg = f"every_ms={every_ms} needs a down_ms above 0 and below it, not {down_ms}"
            raise SimulatorError(msg)

    def cycle(self) -> Cycle:
        """Out for ``down_ms``, every ``every_ms``."""
        return Cycle(on_ms=self.values["down_ms"] or None, every_ms=self.values["every_ms"])

    def start(self, levers: Levers, turn: int) -> None:
        """Pull."""
        levers.cable.pull(self.name, self.toxicity, self.seed + turn)

    def stop(self, levers: Levers) -> None:
        """Plug in."""
        levers.cable.plug(self.name)
