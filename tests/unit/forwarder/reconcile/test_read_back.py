"""Executions that ended in an earlier process before they were drained."""

from __future__ import annotations

from forwarder.ingest.executions import DRAIN_MS, Lifecycle
from forwarder.ingest.log_group import LogGroup
from forwarder.records import ExecutionEnd, LogEvent
from tests.support.forwarder.memory_journal import MemoryJournal

LIFECYCLE = Lifecycle.pattern("DONE")
NOW = 10_000_000


def event(number: int, timestamp: int, message: str, stream: str = "job/a") -> LogEvent:
    return LogEvent(str(number), timestamp, timestamp, stream, message)


def restarted(*events: LogEvent) -> LogGroup:
    """A new process over the journal of one that was killed right after taking these in."""
    journal = MemoryJournal("group")
    LogGroup(journal, lifecycle=LIFECYCLE).ingest(events, "backfill")
    journal.begin_epoch()
    return LogGroup(journal, lifecycle=LIFECYCLE)


def scan(group: LogGroup, events: list[LogEvent], now: int) -> list[ExecutionEnd]:
    group.take_notices()
    one = group.begin_scan("repair", 0, now, now)
    one.take_page(events)
    group.finish_scan(one, now)
    return [notice for notice in group.take_notices() if isinstance(notice, ExecutionEnd)]


def test_it_is_read_from_the_journal_once_a_viewer_names_it() -> None:
    events = [event(1, 1_000, "begin"), event(2, 2_000, "DONE"), event(3, 3_000, "late")]
    group = restarted(*events)
    # The first poll does not reach back that far.
    live = group.begin_scan("live", NOW - 5_000, None, NOW)
    group.finish_scan(live, NOW)
    assert group.drain_range(NOW) is None
    assert group.drain_range(NOW, {"a"}) == (1_000, 3_000 + DRAIN_MS)
    assert scan(group, events, NOW) == []
    (end,) = scan(group, events, NOW + 3_000)
    assert (end.execution, end.status, end.through) == ("a", "UNKNOWN", 3_000)


def test_one_that_is_not_over_stays_open() -> None:
    group = restarted(event(1, 1_000, "begin"), event(2, 1_000, "DONE", "job/b"))
    assert group.drain_range(NOW, {"a"}) is None
    assert group.drain_range(NOW, {"nobody"}) is None
    assert group.drain_range(NOW, {"b"}) == (1_000, 1_000 + DRAIN_MS)


def test_bodies_that_retention_took_say_nothing() -> None:
    journal = MemoryJournal("group")
    first = LogGroup(journal, lifecycle=LIFECYCLE)
    first.ingest([event(1, 1_000, "DONE")], "live")
    first.retain(before=NOW)
    journal.begin_epoch()
    assert LogGroup(journal, lifecycle=LIFECYCLE).drain_range(NOW, {"a"}) is None


def test_it_may_be_in_any_of_its_log_streams() -> None:
    group = restarted(event(1, 1_000, "begin"), event(2, 2_000, "DONE", "sidecar/a"))
    assert group.drain_range(NOW, {"a"}) == (1_000, 2_000 + DRAIN_MS)
