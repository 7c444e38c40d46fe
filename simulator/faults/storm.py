"""``storm``: a crowd of viewers connects at once, and comes back at once."""

from __future__ import annotations

from simulator.faults.base import DAY_MS, Attribute, Cycle, Fault, Levers


class Storm(Fault):
    """Lets a crowd of real WebSocket clients connect at once, which come back without a pause.

    Attributes:
        clients: how many.
        every_ms: all of them let go and come back at once that often; 0 = only when cut off.
        for_ms: how long they stay; 0 = until healed.

    ``toxicity`` is the share of them that comes. They watch the last ten minutes, read all that
    they get, and answer nothing; unlike a proper viewer they wait for nothing before they
    reconnect.

    A correct forwarder serves them from its journal, with few scans of CloudWatch however many
    they are; other viewers go on, and what it can't take it refuses.

    """

    type = "storm"
    attributes = (
        Attribute("clients", 50, 1_000, "viewers that come at once", minimum=1),
        Attribute("every_ms", 0, DAY_MS, "all reconnect after, 0 = only when cut off"),
        Attribute("for_ms", 0, DAY_MS, "how long they stay, 0 = until healed"),
    )

    def cycle(self) -> Cycle:
        """On for ``for_ms``; anew every ``every_ms``."""
        return Cycle(on_ms=self.values["for_ms"] or None, every_ms=self.values["every_ms"])

    def start(self, levers: Levers, turn: int) -> None:
        """Come, all at once."""
        del turn
        levers.cable.gather(self.name, round(self.values["clients"] * self.toxicity))

    def stop(self, levers: Levers) -> None:
        """Go."""
        levers.cable.disperse(self.name)
