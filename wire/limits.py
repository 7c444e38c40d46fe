"""Limits, defaults and close codes of the protocol, each with its reason; see ``PROTOCOL.md``."""

from __future__ import annotations

import re
from typing import Final

PROTOCOL_VERSION: Final = 1

FRAME_EVENTS_MAX: Final = 500
"""Events in one frame; small enough that a slow viewer still receives heartbeats in time."""

FRAME_BYTES_MAX: Final = 1 << 20
"""Bytes in one frame; a single larger event still travels, alone in its frame."""

CLIENT_FRAME_BYTES_MAX: Final = 8 << 20
"""Largest frame that a client accepts: JSON escaping makes a 1 MB event of control bytes six times
as large."""

CLIENT_MESSAGE_BYTES_MAX: Final = 4096
"""Largest message that a forwarder accepts; all three client messages are small."""

UPSTREAM_SHOWN_MS: Final = 10_000
"""How long a throttled call or a late event is shown as the state of CloudWatch after the last."""

END_GAP_MS: Final = 60_000
"""How near to an execution's events a gap concerns its end: its first or last ones may be there."""

ALTERED_TEXTS_MAX: Final = 1_000
"""Altered events whose other text is sent; those beyond are only counted."""

ALTERED_CHARS_MAX: Final = 4_096
"""Characters sent of an altered event's other text."""

ALTERED_FRAME_MAX: Final = 40
"""Other texts in one message, so that it stays below ``FRAME_BYTES_MAX``."""

LOGS_PAGE_EVENTS_MAX: Final = 10_000
"""Items in one page of ``/v1/logs``."""

LOGS_PAGE_BYTES_MAX: Final = 4 << 20
"""Bytes in one page of ``/v1/logs``; a single larger item still travels, alone on its page."""

REQUEST_LINE_BYTES_MAX: Final = 8192
"""Longest request line; the answer to a longer one is 414."""

ID_DIGITS_MAX: Final = 57
"""Longest event id. CloudWatch's ids have 56 digits; 57 digits still fit in ``order.ID_BITS``."""

TIMESTAMP_MAX: Final = (1 << 53) - 1
"""Latest time, ms since the Unix epoch: every JSON implementation represents it exactly."""

SEQ_MAX: Final = (1 << 53) - 1
"""Largest sequence number or count, for the same reason."""

FILTERS_MAX: Final = 100
"""Streams, executions and prefixes of one request, all together."""

NAME_CHARS_MAX: Final = 512
"""Longest log group or log stream name that CloudWatch allows."""

GROUP_NAME: Final = re.compile(rf"[.\-_/#A-Za-z0-9]{{1,{NAME_CHARS_MAX}}}", re.ASCII)
"""Names of log groups (CloudWatch Logs API reference, CreateLogGroup)."""

GROUP_PATTERN: Final = re.compile(rf"[.\-_/#A-Za-z0-9*?]{{1,{NAME_CHARS_MAX}}}", re.ASCII)
"""Patterns of such names: ``*`` stands for any text, ``?`` for one character."""

PATTERN_CHARS_MAX: Final = 1_024
"""Longest filter pattern that CloudWatch accepts."""

GROUP_CHARS_MAX: Final = NAME_CHARS_MAX + 128
"""Longest value of the parameter ``group``: an ARN, which ends in the name."""

HEARTBEAT_MS: Final = 2_000
"""The ``heartbeat_ms`` that this project's forwarder announces."""

DEFAULT_HISTORY_MS: Final = 600_000
"""History sent to a client that gives no ``since``, no cursor and no execution: ten minutes."""

CLOSE_SHUTTING_DOWN: Final = 4001
CLOSE_TOO_SLOW: Final = 4008
CLOSE_SEQUENCE_BROKEN: Final = 4010
CLOSE_NO_HEARTBEAT: Final = 4012
CLOSE_RATE_LIMITED: Final = 4013
CLOSE_TOKEN: Final = 4500
CLOSE_BAD_MESSAGE: Final = 4501
CLOSE_PROTOCOL_VERSION: Final = 4502
CLOSE_GROUP_DENIED: Final = 4504

CLOSE_REASONS: Final[dict[int, str]] = {
    CLOSE_SHUTTING_DOWN: "the forwarder is shutting down",
    CLOSE_TOO_SLOW: "the viewer reads too slowly",
    CLOSE_SEQUENCE_BROKEN: "a message is missing from the sequence",
    CLOSE_NO_HEARTBEAT: "no heartbeat",
    CLOSE_RATE_LIMITED: "too many requests",
    CLOSE_TOKEN: "the token is not valid",
    CLOSE_BAD_MESSAGE: "a message violates the protocol",
    CLOSE_PROTOCOL_VERSION: "the protocol version is not supported",
    CLOSE_GROUP_DENIED: "the token does not cover this log group",
}


def forbids_reconnect(code: int) -> bool:
    """Whether a close code (4500 to 4999) tells the client not to reconnect."""
    return 4500 <= code <= 4999  # noqa: PLR2004 - the range that the protocol defines
