"""A disk that is full between two writes: nothing is claimed, nothing forgotten, nobody stuck."""

from __future__ import annotations

import asyncio

import pytest

from forwarder.cloudwatch.rate_limit import Priority
from forwarder.config import DAY_MS
from forwarder.errors import JournalFullError
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.gaps import MISSED
from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.retention import EXPIRED
from forwarder.records import ExecutionEnd, GapRecord, ScanDone
from tests.support import feeding
from tests.support.full_disk import FillingJournal
from tests.support.log_events import GROUP, NOW_MS, event
from tests.support.scanning import scanned
from wire.messages import GapState

ENDS = Lifecycle.pattern("the end")


@pytest.fixture
def journal() -> FillingJournal:
    return FillingJournal(GROUP)


def told(group: LogGroup) -> list[tuple[str, GapState, int]]:
    """The gaps that were told of since this was last asked."""
    notices = group.take_notices()
    return [(one.reason, one.state, one.recovered) for one in notices if isinstance(one, GapRecord)]


def test_what_was_appended_but_not_covered_is_not_proved(journal: FillingJournal) -> None:
    group = LogGroup(journal)
    journal.refuses = {"cover"}
    with pytest.raises(JournalFullError):
        scanned(group, [event(1)], NOW_MS + 10_000)
    assert group.head_seq == 1
    assert not [one for one in group.take_notices() if isinstance(one, ScanDone)]
    journal.refuses = set()
    assert scanned(group, [event(1)], NOW_MS + 20_000) is not None
    assert group.head_seq == 1


def test_what_expired_is_declared_once_there_is_room(journal: FillingJournal) -> None:
    group = LogGroup(journal)
    scanned(group, [], NOW_MS, NOW_MS - 30 * DAY_MS, NOW_MS)
    journal.refuses = {"put_gap"}
    with pytest.raises(JournalFullError):
        group.learn_settings(DAY_MS, 0)
    journal.refuses = set()
    group.learn_settings(DAY_MS, 0)
    [gap] = journal.gaps()
    assert (gap.from_, gap.reason) == (NOW_MS - 30 * DAY_MS, EXPIRED)


def test_what_was_missed_is_told_once_there_is_room(journal: FillingJournal) -> None:
    group = LogGroup(journal)
    scanned(group, [], NOW_MS + 60_000, kind="live")
    told(group)
    scan = group.begin_scan("repair", NOW_MS, NOW_MS + 60_000, NOW_MS + 70_000)
    scan.take_page([event(1), event(2)])
    journal.refuses = {"put_gap"}
    group.abandon_scan(scan)
    assert told(group) == []
    journal.refuses = set()
    scanned(group, [event(1), event(2)], NOW_MS + 80_000)
    assert told(group) == [(MISSED, "repaired", 2)]


def test_a_gap_that_a_scan_was_fetching_does_not_stay_so(journal: FillingJournal) -> None:
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


def test_every_end_is_told_though_none_can_be_remembered(journal: FillingJournal) -> None:
    group = LogGroup(journal, lifecycle=ENDS)
    written = [event(one, stream=f"job/{one}", message="the end") for one in (1, 2, 3)]
    scanned(group, written, NOW_MS + 10_000)
    scanned(group, written, NOW_MS + 20_000)
    journal.refuses = {"put_ended"}
    with pytest.raises(JournalFullError):
        scanned(group, written, NOW_MS + 30_000)
    ends = [one.execution for one in group.take_notices() if isinstance(one, ExecutionEnd)]
    assert ends == ["1", "2", "3"]


def test_an_end_that_late_news_took_back_is_taken_back_after_a_crash_too(
    journal: FillingJournal,
) -> None:
    group = LogGroup(journal, lifecycle=ENDS)
    end = event(1, message="the end")
    for at in (10_000, 20_000, 30_000):
        scanned(group, [end], NOW_MS + at)
    assert group.executions.end_of("1") is not None
    journal.refuses = {"put_ended"}
    with pytest.raises(JournalFullError):
        group.ingest([event(2)], "live")
    journal.refuses = set()
    after_the_crash = LogGroup(journal, lifecycle=ENDS)
    assert (after_the_crash.executions.end_of("1") is None) == (journal.head_seq == 2)


async def test_a_full_disk_does_not_keep_the_forwarder_from_ending() -> None:
    journal = FillingJournal(feeding.GROUP)
    rig = feeding.Rig(journal)
    async with rig.run():
        rig.group.declare_gap(rig.now_ms - 60_000, rig.now_ms, "suspected", "silence")
        rig.cloudwatch.put("s", (rig.now_ms - 3_000_000, "past"))
        rig.cloudwatch.gates[Priority.BACKFILL] = asyncio.Event()
        rig.feed.want("viewer", rig.now_ms - 3_600_000)
        await rig.until(lambda: any(one is Priority.BACKFILL for one, _, _ in rig.cloudwatch.asked))
        for scan, _ in rig.group._comparisons.values():
            if scan.kind == "backfill":
                scan.take_page([])  # by which the gap is being fetched
        journal.refuses = {"put_gap"}
