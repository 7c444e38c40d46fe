"""``retention_expire``: the log group's retention takes what is old."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.cloudwatch.levers import Lever
from simulator.faults.base import Attribute, Cycle, LeverFault

if TYPE_CHECKING:
    from simulator.cloudwatch.logs import Logs


class RetentionLever(Lever):
    """Sets the log groups' retention, which takes events at once."""

    def engage(self, logs: Logs, now_ms: int) -> None:
        """Keep so many days from now on."""
        # Imported in the stand-in's own process alone, where moto is.
        from simulator.cloudwatch.moto_logs import all_groups  # noqa: PLC0415

        del logs
        for group in all_groups() if self.hits() else ():
            group.set_retention_policy(self.attributes["days"])
            group.store.retain(now_ms)


class RetentionExpire(LeverFault):
    """Gives the log groups a retention of some days; what is older is gone, and stays so.

    Attributes:
        days: how many; CloudWatch knows 1, 3, 5 and 7 of them, and some more.

    Healing brings nothing back, and leaves the retention as it is.

    ``toxicity`` is the chance of each time to happen.

    A correct system declares what it had not read before, with its range, as unrecoverable; what
    it had read it keeps serving as long as its own journal has it. It is never green over either
    without having it.

    """

    type = "retention_expire"
    lever = RetentionLever
    attributes = (Attribute("days", 1, 7, "days that events are kept", minimum=1),)

    def cycle(self) -> Cycle:
        """An instant."""
        return Cycle(on_ms=0)
