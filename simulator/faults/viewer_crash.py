"""``viewer_crash``: viewers are killed, and are started again by who started them."""

from __future__ import annotations

from simulator.faults.base import DAY_MS, Attribute, Cycle, Fault, Levers


class ViewerCrash(Fault):
    """Kills viewers with SIGKILL: those whose process ids were handed to the control API.

    Attributes:
        every_ms: again that long after the last time; 0 = once.

    ``toxicity`` is the share of them that it hits. Whoever started a viewer (a scenario) starts
    it again with the same arguments; the viewer on the screen of ``gapless demo`` is nobody's to
    kill, so that this is refused there.

    A correct viewer goes on at the cursor that it saved last: what comes after that is shown
    once, and nothing of it is missing.

    """

    type = "viewer_crash"
    attributes = (Attribute("every_ms", 0, DAY_MS, "again after, 0 = once"),)

    def cycle(self) -> Cycle:
        """An instant, every ``every_ms``."""
        return Cycle(on_ms=0, every_ms=self.values["every_ms"])

    def start(self, levers: Levers, turn: int) -> None:
        """Kill."""
        levers.programs.kill_viewers(self.toxicity, self.seed + turn)

    def stop(self, levers: Levers) -> None:
        """Nothing: whoever started them starts them again."""
