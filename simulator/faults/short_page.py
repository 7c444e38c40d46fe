"""``short_page``: pages with few events, and more to come."""

from __future__ import annotations

from simulator.cloudwatch.levers import PAGE_EVENTS_MAX, Answer, Call, Next
from simulator.faults.base import Attribute
from simulator.faults.cloudwatch import FOR_MS, CallFault, CallLever


class ShortPageLever(CallLever):
    """Returns few events at once."""

    def look(self, call: Call, then: Next) -> Answer:
        """Answer with a part of what there is."""
        if call.is_read and self.hits():
            call.events_max = min(call.events_max, self.attributes["events"])
        return then(call)


class ShortPage(CallFault):
    """Returns pages of few events, with a token: legal at any time.

    Attributes:
        events: how many at most.
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the pages that it hits.

    A correct system needs more calls, and gets the same.

    """

    type = "short_page"
    lever = ShortPageLever
    attributes = (
        Attribute("events", 10, PAGE_EVENTS_MAX, "events of a page at most", minimum=1),
        FOR_MS,
    )
