"""What may come in: events that the protocol has a place for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from forwarder.errors import EventError
from forwarder.records import LogEvent
from wire.limits import ID_DIGITS_MAX, TIMESTAMP_MAX

_TEXT_MAX: Final = 40


def checked(events: Sequence[LogEvent]) -> Sequence[LogEvent]:
    """The events, with ids as the display order has them: decimal, without leading zeros.

    Raises:
        EventError: an id is not a decimal number of at most 57 digits, or a time is not one.

    """
    ids = [event.id for event in events]
    digits = "".join(ids)
    # Whole lists at once: this runs for every event that a scan returns again.
    if events and not (
        digits.isdecimal()
        and digits.isascii()
        and min(ids) >= "1"
        and max(map(len, ids)) <= ID_DIGITS_MAX
        and min(event.timestamp for event in events) >= 0
        and max(event.timestamp for event in events) <= TIMESTAMP_MAX
    ):
        return [_canonical(event) for event in events]
    return events


def _canonical(event: LogEvent) -> LogEvent:
    event_id = event.id
    if not (event_id.isascii() and event_id.isdecimal() and len(event_id) <= ID_DIGITS_MAX):
        msg = (
            f"CloudWatch gave an event the id {event_id[:_TEXT_MAX]!r}, which is not a decimal"
            f" number of 1 to {ID_DIGITS_MAX} digits: check --endpoint-url"
        )
        raise EventError(msg)
    if not 0 <= event.timestamp <= TIMESTAMP_MAX:
        msg = (
            f"CloudWatch gave the event {event_id} the timestamp {event.timestamp}, which is not"
            " in milliseconds since 1970: check --endpoint-url"
        )
        raise EventError(msg)
    return replace(event, id=event_id.lstrip("0") or "0") if event_id[0] == "0" else event
