"""``forwarder_crash``: the forwarder is killed, and comes back."""

from __future__ import annotations

from random import Random

from simulator.errors import SimulatorError
from simulator.faults.base import DAY_MS, Attribute, Cycle, Fault, Levers


class ForwarderCrash(Fault):
    """Kills the forwarder with SIGKILL at a random moment and starts it again; same journal.

    Attributes:
        within_ms: the moment is drawn from so many ms after the fault is switched on.
        down_ms: how long it stays down, counted from the latest such moment; 0 = until healed.
        every_ms: again that long after the last time; 0 = once.

    ``toxicity`` is the chance that it is killed, drawn anew each time.

    A correct viewer says at once that it is offline, and resumes at its cursor: the new epoch
    continues the old one's chain, and what was committed is not sent again.

    """

    type = "forwarder_crash"
    attributes = (
        Attribute("within_ms", 1_000, DAY_MS, "the moment is drawn from so many ms"),
        Attribute("down_ms", 2_000, DAY_MS, "how long it stays down, 0 = until healed"),
        Attribute("every_ms", 0, DAY_MS, "again after, 0 = once"),
    )

    def check(self) -> None:
        """``every_ms`` must leave time for all of it.

        Raises:
            SimulatorError: it does not.

        """
        within_ms, down_ms, every_ms = (self.values[one.name] for one in self.attributes)
        if every_ms and not 0 < within_ms + down_ms < every_ms:
            msg = f"every_ms={every_ms} must be above within_ms + down_ms, and down_ms above 0"
            raise SimulatorError(msg)

    def cycle(self) -> Cycle:
        """Until it is back."""
        on_ms = self.values["within_ms"] + self.values["down_ms"]
        return Cycle(on_ms if self.values["down_ms"] else None, self.values["every_ms"])

    def start(self, levers: Levers, turn: int) -> None:
        """Draw the moment."""
        rng = Random(f"{self.seed}/{turn}")  # noqa: S311 - a simulation
        if rng.random() < self.toxicity:
            levers.programs.crash(self.name, rng.randint(0, self.values["within_ms"]), "kept")

    def stop(self, levers: Levers) -> None:
        """Start it again; healed before its moment, it is not killed."""
        levers.programs.restart(self.name, is_called_off=True)

    def end(self, levers: Levers) -> None:
        """Start it again."""
        levers.programs.restart(self.name, is_called_off=False)
