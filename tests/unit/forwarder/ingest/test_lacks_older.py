"""A recreated log stream is recognized by the ingestion time of missing events."""

from __future__ import annotations

from forwarder.ingest.log_group import LogGroup
from forwarder.records import LogEvent, ScanDone
from tests.support.forwarder.memory_journal import MemoryJournal

CREATED = 50_000


def event(number: int, timestamp: int, ingested: int | None) -> LogEvent:
    return LogEvent(str(number), timestamp, ingested, "job/a", f"message {number}")


def scan(group: LogGroup, events: list[LogEvent], now: int) -> ScanDone | None:
    one = group.begin_scan("repair", 0, now, now)
    one.take_page(events)
    return group.finish_scan(one, now)


def test_a_missing_event_from_before_the_stream_was_created_is_older() -> None:
    group = LogGroup(MemoryJournal("group"))
    # The new stream's event has a smaller timestamp than the deleted one's.
    old, new = event(1, 40_000, 40_100), event(2, 30_000, CREATED + 100)
    group.ingest([old, new], "live")
    assert not group.lacks_older(CREATED, "job/a")
    assert scan(group, [new], 90_000) is None
    assert group.take_suspect_streams() == {"job/a"}
    assert group.lacks_older(CREATED, "job/a")
    assert not group.lacks_older(40_100, "job/a")
    assert not group.lacks_older(CREATED, "job/b")
    group.mark_stream_deleted("job/a")
    assert not group.lacks_older(CREATED, "job/a")
    assert scan(group, [new], 100_000) is not None


def test_a_missing_event_of_the_same_stream_is_not_older() -> None:
    group = LogGroup(MemoryJournal("group"))
    group.ingest([event(1, 60_000, CREATED + 100), event(2, 61_000, None)], "live")
    assert scan(group, [], 90_000) is None
    assert not group.lacks_older(CREATED, "job/a")
