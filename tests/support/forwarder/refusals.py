"""The ways in which CloudWatch refuses, as a scripted server plays them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import msgspec

from tests.support.forwarder.scripted_cloudwatch import Asked, Reply, page, refusal

GROUP: Final = "/jobs/nightly"
LINES: Final = 3
"""Events of the log group while CloudWatch works."""


class Refusal(msgspec.Struct, frozen=True):
    """One way to refuse.

    Attributes:
        reply: The reply to every call.
        text: Part of the reason that a person reads.
        badge: The state on screen.
    """

    reply: Reply
    text: str
    badge: str


REFUSALS: Final = {
    "expired": Refusal(
        refusal("ExpiredTokenException", "The security token is expired"),
        "expired: ",
        "CREDENTIALS EXPIRED",
    ),
    "denied": Refusal(
        refusal("AccessDeniedException", "not authorized"), "AWS denies access: ", "ACCESS DENIED"
    ),
    "deleted": Refusal(
        refusal("ResourceNotFoundException"),
        f"there is no log group '{GROUP}' in us-e",
        "LOG GROUP MISSING",
    ),
    "throttled": Refusal(
        refusal("ThrottlingException", "Rate exceeded"),
        "throttles calls in us-east-1",
        "CLOUDWATCH THROTTLES",
    ),
    "silent": Refusal(
        Reply(hold=threading.Event()), "CloudWatch Logs at http://127.0.0.1", "FROM CLOUDWATCH"
    ),
    "gone": Refusal(
        Reply(closes=True),
        "can't reach CloudWatch Logs at http://127.0.0.1",
        "CLOUDWATCH UNREACHABLE",
    ),
    "clock": Refusal(
        refusal("InvalidSignatureException", "Signature expired: 2026 is now earlier than 2027"),
        "this machine's clock is wrong: ",
        "CLOCK WRONG",
    ),
}


def working() -> Callable[[Asked], Reply]:
    """Three events, and an answer to every other call."""
    now_ms = time.time_ns() // 1_000_000
    events = [(number, now_ms - 60_000 + number, "s") for number in range(1, LINES + 1)]

    def reply(asked: Asked) -> Reply:
        if asked["operation"] != "FilterLogEvents":
            listed = f'{{"logGroups":[{{"logGroupName":"{GROUP}","creationTime":1}}]}}'
            return Reply(body=listed.encode())
        low, high = asked.get("startTime", 0), asked.get("endTime", 1 << 60)
        return page([one for one in events if low <= one[1] <= high])

    return reply
