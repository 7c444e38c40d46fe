"""``empty_page``: pages without events, and more to come."""

from __future__ import annotations

from typing import Final

from simulator.cloudwatch.levers import Answer, Call, Next, Order
from simulator.faults.cloudwatch import FOR_MS, CallFault, CallLever

IN_A_ROW_MAX: Final = 5
"""Empty pages that follow each other at most, so that a scan ends at some time."""


class EmptyPageLever(CallLever):
    """Returns nothing, with a token to go on."""

    def __init__(self, order: Order) -> None:
        """No page has been empty yet."""
        super().__init__(order)
        self._in_a_row = 0

    def look(self, call: Call, then: Next) -> Answer:
        """Answer, perhaps without events."""
        if call.is_read and self._hits_again():
            call.events_max = 0
        return then(call)

    def _hits_again(self) -> bool:
        with self._drawing:
            hits = self._rng.random() < self.toxicity and self._in_a_row < IN_A_ROW_MAX
            self._in_a_row = self._in_a_row + 1 if hits else 0
            return hits


class EmptyPage(CallFault):
    """Returns pages without events that have a token: legal, and the end of nothing.

    Attributes:
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the pages that it hits, at most five in a row.

    A correct system goes on: only a page without a token ends a scan.

    """

    type = "empty_page"
    lever = EmptyPageLever
    toxicity_default = 0.5
    attributes = (FOR_MS,)
