"""LogGroup on a disk that fills up between two writes: no false mark, no lost notice."""

from __future__ import annotations

import asyncio

import pytest

from forwarder.cloudwatch.fair_queue import Priority
from forwarder.config import DAY_MS
from forwarder.errors import JournalFullError
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.gaps import MISSED
from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.retention import EXPIRED
from forwarder.reconcile.demand import BackfillRequest
from forwarder.records import ExecutionEnd, GapRecord, ScanDone
from tests.support.forwarder import feed_rig
from tests.support.forwarder.full_disk import FullDiskJournal
from tests.support.forwarder.log_events import GROUP, NOW_MS, event
from tests.support.forwarder.scans import run_scan
from wire.messages import GapState

ENDS = Lifecycle.pattern("the end")


@pytest.fixture
def journal() -> FullDiskJournal:
    return FullDiskJournal(GROUP)


def new_gaps(group: LogGroup) -> list[tuple[str, GapState, int]]:
    """Gap notices since the last call."""
    notices = group.take_notices()
    return [(one.reason, one.state, one.recovered) for one in notices if isinstance(one, GapRecord)]


def test_events_appended_without_coverage_complete_nothing(journal: FullDiskJournal) -> None:
    group = LogGroup(journal)
    journal.refuses = {"cover"}
    with pytest.raises(JournalFullError):
        run_scan(group, [event(1)], NOW_MS + 10_000)
    assert group.head_seq == 1
    assert not [one for one in group.take_notices() if isinstance(one, ScanDone)]
    journal.refuses = set()
    assert run_scan(group, [event(1)], NOW_MS + 20_000) is not None
    assert group.head_seq == 1


def test_expired_time_is_declared_once_there_is_room(journal: FullDiskJournal) -> None:
    group = LogGroup(journal)
    run_scan(group, [], NOW_MS, NOW_MS - 30 * DAY_MS, NOW_MS)
    journal.refuses = {"put_gap"}
    with pytest.raises(JournalFullError):
        group.learn_settings(DAY_MS, 0)
    journal.refuses = set()
    group.learn_settings(DAY_MS, 0)
    [gap] = journal.gaps()
    assert (gap.from_, gap.reason) == (NOW_MS - 30 * DAY_MS, EXPIRED)


def test_missed_events_are_declared_once_there_is_room(journal: FullDiskJournal) -> None:
    group = LogGroup(journal)
    run_scan(group, [], NOW_MS + 60_000, kind="live")
    new_gaps(group)
    scan = group.begin_scan("repair", NOW_MS, NOW_MS + 60_000, NOW_MS + 70_000)
    scan.take_page([event(1), event(2)])
    journal.refuses = {"put_gap"}
    group.abandon_scan(scan)
    assert new_gaps(group) == []
    journal.refuses = set()
    run_scan(group, [event(1), event(2)], NOW_MS + 80_000)
    assert new_gaps(group) == [(MISSED, "repaired", 2)]


def test_a_gap_does_not_stay_repairing_after_its_scan(journal: FullDiskJournal) -> None:
    group = LogGroup(journal)
    group.declare_gap(NOW_MS, NOW_MS + 90_000, "suspected", "silence")
    scan = group.begin_scan("repair", NOW_MS, NOW_MS + 60_000, NOW_MS + 70_000)
    scan.take_page([])
    assert [gap.state for gap in journal.gaps()] == ["repairing"]
    journal.refuses = {"put_gap"}
    group.abandon_scan(scan)
    journal.refuses = set()
    group.abandon_scan(group.begin_scan("repair", 0, 1, NOW_MS + 70_000))
    assert [gap.state for gap in journal.gaps()] == ["suspected"]


def test_every_end_becomes_a_notice_though_none_can_be_written(journal: FullDiskJournal) -> None:
    group = LogGroup(journal, lifecycle=ENDS)
    written = [event(one, stream=f"job/{one}", message="the end") for one in (1, 2, 3)]
    run_scan(group, written, NOW_MS + 10_000)
    run_scan(group, written, NOW_MS + 20_000)
    journal.refuses = {"put_ended"}
    with pytest.raises(JournalFullError):
        run_scan(group, written, NOW_MS + 30_000)
    ends = [one.execution for one in group.take_notices() if isinstance(one, ExecutionEnd)]
    assert ends == ["1", "2", "3"]


def test_an_end_undone_by_a_late_event_is_undone_after_a_crash_too(
    journal: FullDiskJournal,
) -> None:
    group = LogGroup(journal, lifecycle=ENDS)
    end = event(1, message="the end")
    for at in (10_000, 20_000, 30_000):
        run_scan(group, [end], NOW_MS + at)
    assert group.executions.end_of("1") is not None
    journal.refuses = {"put_ended"}
    with pytest.raises(JournalFullError):
        group.ingest([event(2)], "live")
    journal.refuses = set()
    after_the_crash = LogGroup(journal, lifecycle=ENDS)
    assert (after_the_crash.executions.end_of("1") is None) == (journal.head_seq == 2)


async def test_a_full_disk_does_not_keep_the_forwarder_from_stopping() -> None:
    journal = FullDiskJournal(feed_rig.GROUP)
    rig = feed_rig.FeedRig(journal)
    async with rig.run():
        rig.group.declare_gap(rig.now_ms - 60_000, rig.now_ms, "suspected", "silence")
        rig.cloudwatch.put("s", (rig.now_ms - 3_000_000, "past"))
        rig.cloudwatch.gates[Priority.BACKFILL] = asyncio.Event()
        rig.feed.request_backfill("viewer", BackfillRequest(rig.now_ms - 3_600_000))
        await rig.until(lambda: any(one is Priority.BACKFILL for one, _, _ in rig.cloudwatch.asked))
        for scan, _ in rig.group._comparisons.values():
            if scan.kind == "backfill":
                scan.take_page([])  # the gap is repairing from here on
        journal.refuses = {"put_gap"}
