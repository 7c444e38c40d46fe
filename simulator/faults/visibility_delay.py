"""``visibility_delay``: CloudWatch shows events later than it accepts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.cloudwatch.levers import Lever
from simulator.errors import SimulatorError
from simulator.faults.base import DAY_MS, Attribute, LeverFault
from simulator.visibility import Regime

if TYPE_CHECKING:
    from simulator.cloudwatch.logs import Logs

TYPE = "visibility_delay"


class VisibilityLever(Lever):
    """Imposes a regime on what is stored."""

    def engage(self, logs: Logs, now_ms: int) -> None:
        """Delay what is ingested from the next millisecond on."""
        logs.impose(self.regime(now_ms))

    def release(self, logs: Logs, now_ms: int) -> None:
        """Show at once what is hidden."""
        logs.heal(self.name, now_ms)

    def regime(self, now_ms: int) -> Regime:
        """The regime of a lever that was engaged at ``now_ms``."""
        # What was ingested in this millisecond may have been seen already.
        return Regime(
            self.name,
            self.attributes["delay_ms"],
            self.attributes["jitter_ms"],
            self.toxicity,
            self.seed,
            begin_ms=now_ms + 1,
        )


class VisibilityDelay(LeverFault):
    """Events that CloudWatch accepts from now on can be read only some time later.

    Attributes:
        delay_ms: how much later.
        jitter_ms: more or less by up to this, each event by an amount of its own; so events
            become visible in another order than they were written in.

    ``toxicity`` is the share of the events that it hits. Healing shows at once what is hidden.

    A correct system finds the events in the overlap of its scans and inserts them where they
    belong, counted as late; no cursor has passed over them, and every mark told the truth.

    """

    type = TYPE
    lever = VisibilityLever
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
