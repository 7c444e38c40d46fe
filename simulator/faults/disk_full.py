"""``disk_full``: the forwarder can write nothing any more."""

from __future__ import annotations

from random import Random

from simulator.faults.base import DAY_MS, Attribute, Cycle, Fault, Levers


class DiskFull(Fault):
    """Lets the forwarder's writes to files fail, by the limit that the kernel has for their size.

    Attributes:
        room_bytes: how much its journal may still grow; 0 = no write to any file succeeds.
        for_ms: how long; 0 = until healed.

    The error is EFBIG rather than ENOSPC, in the same system calls and to the same effect: that
    can be done to one process without being root, and without filling anybody's disk. It needs
    Linux. ``toxicity`` is the chance that it happens at all.

    A correct forwarder never sends what it could not commit and never says that it is complete;
    it says what is wrong and ends, or waits for room. When there is room again, and it was
    started again if it had ended, everything that was missed is there.

    """

    type = "disk_full"
    attributes = (
        Attribute("room_bytes", 0, 1 << 30, "how much the journal may still grow"),
        Attribute("for_ms", 0, DAY_MS, "how long, 0 = until healed"),
    )

    def cycle(self) -> Cycle:
        """On for ``for_ms``."""
        return Cycle(on_ms=self.values["for_ms"] or None)

    def start(self, levers: Levers, turn: int) -> None:
        """Fill it."""
        if Random(f"{self.seed}/{turn}").random() < self.toxicity:  # noqa: S311 - a simulation
            levers.programs.fill_disk(self.name, self.values["room_bytes"])

    def stop(self, levers: Levers) -> None:
        """Make room."""
        levers.programs.free_disk(self.name)
