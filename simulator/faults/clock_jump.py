"""``clock_jump``: the forwarder's wall clock jumps."""

from __future__ import annotations

from random import Random

from simulator.faults.base import DAY_MS, Attribute, Cycle, Fault, Levers


class ClockJump(Fault):
    """Sets the forwarder's wall clock ahead, then back; CloudWatch and viewers keep the right one.

    Attributes:
        ahead_ms: how far ahead it is; 0 for a clock that is behind.
        behind_ms: how far behind it is.
        for_ms: how long; 0 = until healed. Healing is a jump, too, the other way.

    ``toxicity`` is the chance that it jumps at all.

    A correct system loses and doubles nothing: no cursor and no mark is made from the clock
    alone, a mark never claims what is still to come, and what is scanned reaches back far enough.
    A clock that is hours ahead may cost freshness for as long as it is wrong, not completeness.

    """

    type = "clock_jump"
    attributes = (
        Attribute("ahead_ms", 60_000, DAY_MS, "how far ahead"),
        Attribute("behind_ms", 0, DAY_MS, "how far behind"),
        Attribute("for_ms", 0, DAY_MS, "how long, 0 = until healed"),
    )

    def cycle(self) -> Cycle:
        """On for ``for_ms``."""
        return Cycle(on_ms=self.values["for_ms"] or None)

    def start(self, levers: Levers, turn: int) -> None:
        """Jump."""
        if Random(f"{self.seed}/{turn}").random() < self.toxicity:  # noqa: S311 - a simulation
            offset_ms = self.values["ahead_ms"] - self.values["behind_ms"]
            levers.programs.set_clock(self.name, offset_ms)

    def stop(self, levers: Levers) -> None:
        """Jump back."""
        levers.programs.right_clock(self.name)
