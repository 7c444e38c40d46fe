"""``throttle``: CloudWatch refuses calls beyond a rate."""

from __future__ import annotations

from simulator.cloudwatch.levers import Answer, Call, Next, Order, refusal
from simulator.faults.base import Attribute
from simulator.faults.cloudwatch import FOR_MS, CallFault, CallLever


class ThrottleLever(CallLever):
    """A bucket of tokens that holds one second's worth."""

    def __init__(self, order: Order) -> None:
        """The bucket is full at first."""
        super().__init__(order)
        self._rate = order.attributes["rate"]
        self._tokens = float(self._rate)
        self._filled_ms: int | None = None

    def look(self, call: Call, then: Next) -> Answer:
        """Answer as long as there are tokens."""
        if self._may_pass(call.now_ms) or not self.hits():
            return then(call)
        return refusal("ThrottlingException", "Rate exceeded")

    def _may_pass(self, now_ms: int) -> bool:
        with self._drawing:
            passed_ms = max(0, now_ms - (now_ms if self._filled_ms is None else self._filled_ms))
            self._filled_ms = now_ms
            self._tokens = min(self._rate, self._tokens + self._rate * passed_ms / 1_000)
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


class Throttle(CallFault):
    """Refuses calls beyond a rate with ThrottlingException, as AWS does per account and Region.

    Attributes:
        rate: calls a second that pass.
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the calls beyond the rate that is refused.

    A correct system asks less often and says ``upstream: throttled``; its mark stands still,
    then catches up, and nothing is lost.

    """

    type = "throttle"
    lever = ThrottleLever
    attributes = (Attribute("rate", 0, 1_000_000, "calls a second that pass"), FOR_MS)
