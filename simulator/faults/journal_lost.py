"""``journal_lost``: the forwarder's journal is gone after a crash."""

from __future__ import annotations

from random import Random

from simulator.faults.base import DAY_MS, Attribute, Cycle, Fault, Levers


class JournalLost(Fault):
    """Kills the forwarder with SIGKILL, takes its journal away, and starts it again.

    Attributes:
        down_ms: how long it stays down; 0 = until healed.

    ``toxicity`` is the chance that the journal is lost; else it is kept.

    A correct viewer is told (``rebased``) that its cursor means nothing any more, and is sent
    everything since its ``since`` anew: what it holds already is not doubled, nothing is lost.

    """

    type = "journal_lost"
    attributes = (Attribute("down_ms", 1_000, DAY_MS, "how long it stays down, 0 = until healed"),)

    def cycle(self) -> Cycle:
        """Until it is back."""
        return Cycle(on_ms=self.values["down_ms"] or None)

    def start(self, levers: Levers, turn: int) -> None:
        """Kill it and take the journal."""
        rng = Random(f"{self.seed}/{turn}")  # noqa: S311 - a simulation
        levers.programs.crash(self.name, 0, "lost" if rng.random() < self.toxicity else "kept")

    def stop(self, levers: Levers) -> None:
        """Start it again; healed before its moment, it is not killed."""
        levers.programs.restart(self.name, is_called_off=True)

    def end(self, levers: Levers) -> None:
        """Start it again."""
        levers.programs.restart(self.name, is_called_off=False)
