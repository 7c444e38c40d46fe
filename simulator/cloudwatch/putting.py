"""Answers PutLogEvents: which events of a batch are accepted, and storing them.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
and API_RejectedLogEventsInfo.html: both end indexes are exclusive, the start index is inclusive.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

from simulator.acceptance import BATCH_BYTES_MAX, BATCH_SPAN_MS_MAX, EVENT_OVERHEAD_BYTES
from simulator.cloudwatch.delivery import Delivery
from simulator.cloudwatch.levers import Call
from simulator.cloudwatch.logs import Logs
from simulator.cloudwatch.parameters import (
    AwsRefusal,
    invalid,
    malformed,
    message_bytes,
    not_found,
    unmet,
)
from simulator.cloudwatch.reading import FindGroup

PAST_MS_MAX: Final = 14 * 24 * 3_600_000
FUTURE_MS_MAX: Final = 2 * 3_600_000
MESSAGE_BYTES_MAX: Final = 1_048_576

_TIMESTAMP: Final = itemgetter(0)


class Accepted(NamedTuple):
    """The accepted (timestamp, message) pairs, and ``rejectedLogEventsInfo``."""

    events: Sequence[tuple[int, str]]
    rejected: dict[str, int]


def accept(log_events: list[Any], now_ms: int, retention_ms: int | None) -> Accepted:
    """Decide which events of a batch are accepted. Pure.

    Raises:
        AwsRefusal: The batch breaks a rule, so none is accepted.
    """
    events = _read(log_events)
    oldest_ms = now_ms - PAST_MS_MAX
    rejected: dict[str, int] = {}
    start, stop = bisect_left(events, oldest_ms, key=_TIMESTAMP), len(events)
    if start:
        rejected["tooOldLogEventEndIndex"] = start
    if retention_ms is not None:
        expired = bisect_left(events, now_ms - retention_ms, key=_TIMESTAMP)
        if expired > start:
            rejected["expiredLogEventEndIndex"] = start = expired
    newest = bisect_right(events, now_ms + FUTURE_MS_MAX, key=_TIMESTAMP)
    if newest < stop:
        rejected["tooNewLogEventStartIndex"] = stop = newest
    taken = events[start:stop]
    # AWS says "for valid events": rejected ones do not count.
    if taken and taken[-1][0] - taken[0][0] > BATCH_SPAN_MS_MAX:
        what = "The batch of log events in a single PutLogEvents request"
        msg = f"{what} cannot span more than 24 hours."
        raise invalid(msg)
    return Accepted(taken, rejected)


def _read(log_events: list[Any]) -> list[tuple[int, str]]:
    events: list[tuple[int, str]] = []
    size = EVENT_OVERHEAD_BYTES * len(log_events)
    last_ms = 0
    try:
        for one in log_events:
            timestamp, message = one["timestamp"], one["message"]
            length = len(message) if message.isascii() else message_bytes(message)
            if not 0 < length <= MESSAGE_BYTES_MAX:
                raise _length_refused(length, len(events) + 1)
            if timestamp < last_ms:
                raise _timestamp_refused(timestamp, len(events) + 1)
            last_ms = timestamp
            size += length
            events.append((timestamp, message))
    except (KeyError, TypeError, AttributeError) as error:
        place = f"logEvents.{len(events) + 1}.member"
        msg = f"{place} must have a whole number as timestamp and a string as message"
        raise malformed(msg) from error
    if not all(type(timestamp) is int for timestamp, _ in events):
        msg = "a timestamp is no whole number"
        raise malformed(msg)
    if size > BATCH_BYTES_MAX:
        msg = f"Upload too large: {size} bytes exceeds limit of {BATCH_BYTES_MAX}"
        raise invalid(msg)
    return events


def _length_refused(length: int, number: int) -> AwsRefusal:
    if not length:
        place = f"logEvents.{number}.member.message"
        return unmet(place, "", "have length greater than or equal to 1")
    return invalid(f"Log event too large: {length} bytes exceeds limit of {MESSAGE_BYTES_MAX}")


def _timestamp_refused(timestamp: int, number: int) -> AwsRefusal:
    if timestamp < 0:
        place = f"logEvents.{number}.member.timestamp"
        return unmet(place, timestamp, "have value greater than or equal to 0")
    msg = "Log events in a single PutLogEvents request must be in chronological order."
    return invalid(msg)


SEQUENCE_TOKEN = "0" * 56
"""CloudWatch Logs ignores sequence tokens but still returns one."""


class Writing:
    """Answers PutLogEvents from the storage."""

    def __init__(self, logs: Logs, delivery: Delivery, find_group: FindGroup) -> None:
        """``delivery`` gets the accepted events for the subscription filters."""
        self._logs = logs
        self._delivery = delivery
        self._find_group = find_group

    def put_log_events(self, call: Call) -> dict[str, Any]:
        """Store a batch; events that are too old or too new are reported and skipped.

        Raises:
            AwsRefusal: AWS would refuse the request; nothing is stored.
        """
        asked = call.parameters
        with self._logs.lock:
            store = self._find_group(call.region, asked["logGroupName"], "")
            if store is None or asked["logStreamName"] not in store.streams:
                raise not_found("log group" if store is None else "log stream")
        accepted = accept(asked["logEvents"], call.now_ms, store.retention_ms)
        with self._logs.lock:
            if asked["logStreamName"] not in store.streams:
                what = "log stream"
                raise not_found(what)
            stored = self._logs.put(store, asked["logStreamName"], accepted.events)
            if stored:
                # Under the lock, so that a log stream's records keep the order of its events.
                self._delivery.offer(store, stored, call.now_ms)
        answer: dict[str, Any] = {"nextSequenceToken": SEQUENCE_TOKEN}
        if accepted.rejected:
            answer["rejectedLogEventsInfo"] = accepted.rejected
        return answer
