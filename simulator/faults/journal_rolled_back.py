"""``journal_rolled_back``: the forwarder finds an earlier journal than the one it wrote."""

from __future__ import annotations

from random import Random

from simulator.faults.base import DAY_MS, Attribute, Cycle, Fault, Journal, Levers


class JournalRolledBack(Fault):
    """Copies the journal, kills the forwarder later, and starts it again with the copy.

    Attributes:
        back_ms: how old the copy is by then.
        down_ms: how long it stays down; 0 = until healed.

    ``toxicity`` is the chance that the copy is put back; else the journal is kept.

    A correct viewer whose cursor lies in the part that was lost is told so by the epochs' chain,
    is sent everything that is owed anew, and shows nothing twice; its cursor is never taken for
    another event that has got the same number since.

    """

    type = "journal_rolled_back"
    attributes = (
        Attribute("back_ms", 5_000, DAY_MS, "how old the copy is that is put back"),
        Attribute("down_ms", 1_000, DAY_MS, "how long it stays down, 0 = until healed"),
    )

    def cycle(self) -> Cycle:
        """Until it is back."""
        on_ms = self.values["back_ms"] + self.values["down_ms"]
        return Cycle(on_ms=on_ms if self.values["down_ms"] else None)

    def start(self, levers: Levers, turn: int) -> None:
        """Copy now, kill later."""
        rng = Random(f"{self.seed}/{turn}")  # noqa: S311 - a simulation
        journal: Journal = "rolled_back" if rng.random() < self.toxicity else "kept"
        levers.programs.crash(self.name, self.values["back_ms"], journal)

    def stop(self, levers: Levers) -> None:
        """Start it again; healed before its moment, it is not killed."""
        levers.programs.restart(self.name, is_called_off=True)

    def end(self, levers: Levers) -> None:
        """Start it again."""
        levers.programs.restart(self.name, is_called_off=False)
