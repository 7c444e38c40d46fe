"""Every bound and constant of the protocol, with its reason; see ``PROTOCOL.md``."""

from __future__ import annotations

from typing import Final

PROTOCOL_VERSION: Final = 1

FRAME_EVENTS_MAX: Final = 500
"""Events in one frame: a slow viewer is never far from the next heartbeat."""

FRAME_BYTES_MAX: Final = 1 << 20
"""Bytes in one frame, except a frame of one single larger event."""

CLIENT_FRAME_BYTES_MAX: Final = 8 << 20
"""What a client accepts: a 1 MB event of control bytes grows sixfold when escaped as JSON."""

CLIENT_MESSAGE_BYTES_MAX: Final = 4096
"""What a forwarder accepts from a client: its three messages are all small."""

LOGS_PAGE_EVENTS_MAX: Final = 10_000
"""Items in one page of ``/v1/logs``."""

LOGS_PAGE_BYTES_MAX: Final = 4 << 20
"""Bytes in one page of ``/v1/logs``, except a page of one single larger item."""

REQUEST_LINE_BYTES_MAX: Final = 8192
"""Longest request line; beyond it the answer is 414."""

ID_DIGITS_MAX: Final = 57
"""CloudWatch's ids have 56 digits; 57 digits still fit in ``order.ID_BITS``."""

TIMESTAMP_MAX: Final = (1 << 53) - 1
"""Milliseconds since the Unix epoch, kept exact in every JSON implementation."""

SEQ_MAX: Final = (1 << 53) - 1
"""Likewise for sequence numbers and counts."""

FILTERS_MAX: Final = 100
"""Streams, executions and prefixes of one request, together."""

NAME_CHARS_MAX: Final = 512
"""Longest log group or log stream name that CloudWatch allows."""

HEARTBEAT_MS: Final = 2_000
"""What our forwarder announces as ``heartbeat_ms``."""

DEFAULT_PAST_MS: Final = 600_000
"""Without ``since``, cursor and execution: the last ten minutes."""

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
    CLOSE_SEQUENCE_BROKEN: "the sequence of messages is broken",
    CLOSE_NO_HEARTBEAT: "no heartbeat",
    CLOSE_RATE_LIMITED: "too many requests",
    CLOSE_TOKEN: "the token is not valid",
    CLOSE_BAD_MESSAGE: "a message does not keep to the protocol",
    CLOSE_PROTOCOL_VERSION: "another protocol version",
    CLOSE_GROUP_DENIED: "the token does not cover this log group",
}


def is_final(code: int) -> bool:
    """Whether a close code (4500-4999) tells the client not to come back."""
    return 4500 <= code <= 4999  # noqa: PLR2004 - the protocol's own range
