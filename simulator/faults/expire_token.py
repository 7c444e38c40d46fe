"""``expire_token``: every token is a day old at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.cloudwatch.levers import Lever
from simulator.faults.base import DAY_MS, Attribute, Cycle, LeverFault

if TYPE_CHECKING:
    from simulator.cloudwatch.logs import Logs


class ExpireTokenLever(Lever):
    """Refuses the tokens that are there."""

    def engage(self, logs: Logs, now_ms: int) -> None:
        """Let every token issued until now be refused."""
        if self.hits():
            logs.tokens.expire(now_ms)


class ExpireToken(LeverFault):
    """Lets every page token expire that was issued until now, again and again.

    Attributes:
        every_ms: how often; 0 = once.

    ``toxicity`` is the chance of each time to happen.

    A correct system begins the scan anew, by time and not by an old token, and misses nothing.

    """

    type = "expire_token"
    lever = ExpireTokenLever
    attributes = (Attribute("every_ms", 1_000, DAY_MS, "how often, 0 = once"),)

    def cycle(self) -> Cycle:
        """Instants."""
        return Cycle(on_ms=0, every_ms=self.values["every_ms"])
