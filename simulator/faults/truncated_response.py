"""``truncated_response``: answers that end in the middle."""

from __future__ import annotations

from simulator.cloudwatch.levers import Answer, Call, Next
from simulator.faults.cloudwatch import FOR_MS, CallFault, CallLever


class TruncatedResponseLever(CallLever):
    """Cuts answers, in one of two ways."""

    def look(self, call: Call, then: Next) -> Answer:
        """Answer, perhaps only in part."""
        answer = then(call)
        if len(answer.body) < 2 or not self.hits():  # noqa: PLR2004 - nothing to cut
            return answer
        whole = len(answer.body)
        answer.body = answer.body[: 1 + int(self.draw() * (whole - 1))]
        if self.draw() < 0.5:  # noqa: PLR2004 - either way
            answer.content_length = whole
        return answer


class TruncatedResponse(CallFault):
    """Ends answers in the middle, status 200.

    Attributes:
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the calls that it hits. Of these, half say the length that they
    should have, so that the connection is seen to be cut; the others say the length that they
    have, which boto3 takes for a page without events.

    A correct system takes no such answer for a page, asks again, and marks nothing from a scan
    that had one.

    """

    type = "truncated_response"
    lever = TruncatedResponseLever
    toxicity_default = 0.2
    attributes = (FOR_MS,)
