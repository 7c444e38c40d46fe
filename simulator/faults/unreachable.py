"""``unreachable``: CloudWatch gives no answer at all."""

from __future__ import annotations

from simulator.cloudwatch.levers import Answer, Call, Next
from simulator.faults.cloudwatch import FOR_MS, CallFault, CallLever


class UnreachableLever(CallLever):
    """Resets connections."""

    def look(self, call: Call, then: Next) -> Answer:
        """Leave the caller without an answer."""
        if self.hits():
            return Answer(503, b"", is_dropped=True)
        return then(call)


class Unreachable(CallFault):
    """Resets the connection of every call, the live path's too; what writes is let through.

    Attributes:
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the calls that it hits.

    A correct system keeps serving what it has, says ``upstream: unreachable``, marks nothing
    meanwhile, and then catches up.

    """

    type = "unreachable"
    lever = UnreachableLever
    attributes = (FOR_MS,)
