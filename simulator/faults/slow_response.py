"""``slow_response``: CloudWatch takes its time."""

from __future__ import annotations

import threading

from simulator.cloudwatch.levers import Answer, Call, Next, Order
from simulator.faults.base import Attribute
from simulator.faults.cloudwatch import FOR_MS, CallFault, CallLever

DELAY_MAX_MS = 60_000


class SlowResponseLever(CallLever):
    """Answers, but not at once."""

    def __init__(self, order: Order) -> None:
        """Nobody waits yet."""
        super().__init__(order)
        self._released = threading.Event()

    def look(self, call: Call, then: Next) -> Answer:
        """Answer what was true at the beginning, late."""
        answer = then(call)
        if self.hits():
            jitter_ms = self.attributes["jitter_ms"] * (2 * self.draw() - 1)
            self._released.wait(max(0.0, self.attributes["delay_ms"] + jitter_ms) / 1_000)
        return answer

    def release(self, logs: object, now_ms: int) -> None:
        """Whoever waits gets its answer."""
        del logs, now_ms
        self._released.set()


class SlowResponse(CallFault):
    """Delays answers; each tells what was true when the call came.

    Attributes:
        delay_ms: how long.
        jitter_ms: more or less by up to this.
        for_ms: how long it goes on; 0 = until healed.

    ``toxicity`` is the share of the calls that it hits.

    A correct system is later, says so, and goes on serving what it has; nothing is lost.

    """

    type = "slow_response"
    lever = SlowResponseLever
    attributes = (
        Attribute("delay_ms", 2_000, DELAY_MAX_MS, "how long an answer takes"),
        Attribute("jitter_ms", 0, DELAY_MAX_MS, "more or less by up to this"),
        FOR_MS,
    )
