"""What the faults have in common that put connections under a strain for a time."""

from __future__ import annotations

from abc import abstractmethod

from simulator.faults.base import DAY_MS, Attribute, Cycle, Fault, Levers
from simulator.network.toxics import FrameStrain, Strain

FOR_MS = Attribute("for_ms", 0, DAY_MS, "how long, 0 = until healed")
"""An attribute of many of them."""


class StrainingFault(Fault):
    """Puts a share of the connections under a strain; of a ``FrameStrain``, all of them."""

    @abstractmethod
    def strain(self) -> Strain:
        """What the connections suffer."""

    def cycle(self) -> Cycle:
        """On for ``for_ms``, where the fault has it; else until healed."""
        return Cycle(on_ms=self.values.get("for_ms") or None)

    def start(self, levers: Levers, turn: int) -> None:
        """Begin."""
        strain = self.strain()
        share = 1.0 if isinstance(strain, FrameStrain) else self.toxicity
        levers.cable.strain(self.name, strain, share, self.seed + turn)

    def stop(self, levers: Levers) -> None:
        """Let go; what waited arrives."""
        levers.cable.ease(self.name)
