"""``visibility_delay``: CloudWatch shows events later than it accepts them."""

from __future__ import annotations

from simulator.errors import SimulatorError
from simulator.faults.base import DAY_MS, Attribute, Fault, Levers


class VisibilityDelay(Fault):
    """Events that CloudWatch accepts from now on can be read only some time later.

    Attributes:
        delay_ms: how much later.
        jitter_ms: more or less by up to this, each event by an amount of its own; so events
            become visible in another order than they were written in.

    ``toxicity`` is the share of the events that it hits. Healing shows at once what is hidden.

    A correct system finds the events in the overlap of its scans and inserts them where they
    belong, counted as late; no cursor has passed over them, and every mark told the truth.

    """

    type = "visibility_delay"
    attributes = (
        Attribute("delay_ms", 5_000, DAY_MS, "how much later events can be read"),
        Attribute("jitter_ms", 0, DAY_MS, "more or less by up to this, at most delay_ms"),
    )

    def check(self) -> None:
        """No event can be read before it was accepted.

        Raises:
            SimulatorError: with this jitter it could.

        """
        if self.values["jitter_ms"] > self.values["delay_ms"]:
            msg = f"jitter_ms must be at most delay_ms, which is {self.values['delay_ms']}"
            raise SimulatorError(msg)

    def start(self, levers: Levers, turn: int) -> None:
        """Delay what is ingested from now on."""
        delay_ms, jitter_ms = self.values["delay_ms"], self.values["jitter_ms"]
        levers.cloudwatch.delay_visibility(
            self.name, delay_ms, jitter_ms, self.toxicity, self.seed + turn
        )

    def stop(self, levers: Levers) -> None:
        """Show everything."""
        levers.cloudwatch.show(self.name)
