"""``server_error``: CloudWatch answers with 500 and 503."""

from __future__ import annotations

from simulator.cloudwatch.levers import Answer, Call, Next, Order, refusal
from simulator.faults.base import Attribute
from simulator.faults.cloudwatch import FOR_MS, CallFault, CallLever


class ServerErrorLever(CallLever):
    """Fails calls, so many in a row each time."""

    def __init__(self, order: Order) -> None:
        """Nothing has failed yet."""
        super().__init__(order)
        self._left = 0

    def look(self, call: Call, then: Next) -> Answer:
        """Fail, or answer."""
        if not self._fails():
            return then(call)
        if self.draw() < 0.5:  # noqa: PLR2004 - either one
            return refusal("InternalFailure", "an internal error", 500)
        return refusal("ServiceUnavailableException", "the service is unavailable", 503)

    def _fails(self) -> bool:
        with self._drawing:
            if self._left:
                self._left -= 1
                return True
            if self._rng.random() >= self.toxicity:
                return False
            self._left = self.attributes["in_a_row"] - 1
            return True


class ServerError(CallFault):
    """Fails calls with status 500 or 503.

    Attributes:
        in_a_row: how many calls fail one after the other, each time.
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the chance of each call to be the first of such a row.

    A correct system tries again, for as long as it takes; no mark comes from a scan that did not
    finish.

    """

    type = "server_error"
    lever = ServerErrorLever
    toxicity_default = 0.3
    attributes = (Attribute("in_a_row", 1, 1_000, "calls that fail in a row", minimum=1), FOR_MS)
