from __future__ import annotations

import pytest

from forwarder.errors import EventError
from forwarder.ingest.door import checked
from forwarder.records import LogEvent


def _event(event_id: str, timestamp: int = 5) -> LogEvent:
    return LogEvent(event_id, timestamp, None, "job/1", "line")


def test_ids_as_cloudwatch_gives_them_pass_as_they_are() -> None:
    events = [_event("3" * 56), _event("12")]
    assert checked(events) is events
    assert checked([]) == []


def test_leading_zeros_go_as_the_display_order_has_none() -> None:
    found = [event.id for event in checked([_event("0"), _event("007"), _event("7"), _event("00")])]
    assert found == ["0", "7", "7", "0"]


@pytest.mark.parametrize("event_id", ["", "abc", "-1", "1.5", "٣", "9" * 58, "²", "1\n"])
def test_an_id_that_is_no_number_is_refused_in_one_line(event_id: str) -> None:
    with pytest.raises(EventError, match="is not a decimal number") as error:
        checked([_event("1"), _event(event_id)])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("timestamp", [-1, 1 << 53])
def test_a_time_that_the_wire_has_no_place_for_is_refused(timestamp: int) -> None:
    with pytest.raises(EventError, match="timestamp"):
        checked([_event("1", timestamp)])
