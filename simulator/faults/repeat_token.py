"""``repeat_token``: a page whose token is the one that it was asked for with."""

from __future__ import annotations

import json

from simulator.cloudwatch.levers import Answer, Call, Next
from simulator.faults.cloudwatch import FOR_MS, CallFault, CallLever


class RepeatTokenLever(CallLever):
    """Gives back the token that came."""

    def look(self, call: Call, then: Next) -> Answer:
        """Answer, perhaps with a token that leads to the same page again."""
        answer = then(call)
        if call.action != "FilterLogEvents" or answer.status != 200:  # noqa: PLR2004 - OK
            return answer
        token = call.parameters.get("nextToken")
        if token is None or not self.hits():
            return answer
        page = json.loads(answer.body)
        if "nextToken" in page:
            answer.body = json.dumps({**page, "nextToken": token}).encode()
        return answer


class RepeatToken(CallFault):
    """Returns the token of a page once more, which leads to the same page again.

    Attributes:
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the pages, after the first of a scan, that it hits.

    A correct system goes on or begins the scan anew; it neither ends it there nor goes round for
    ever, and what comes again is recognised.

    """

    type = "repeat_token"
    lever = RepeatTokenLever
    toxicity_default = 0.3
    attributes = (FOR_MS,)
