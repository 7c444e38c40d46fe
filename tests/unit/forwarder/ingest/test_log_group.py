from __future__ import annotations

import pytest

from forwarder.config import ALLOWANCE_MS, OVERLAP_MS
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.log_group import TOO_LARGE, LogGroup
from forwarder.ingest.scan import Ingested
from forwarder.records import ExecutionEnd, GapRecord, Reset, ScanDone
from tests.support.forwarder.log_events import GROUP, NOW_MS, event, events
from tests.support.forwarder.memory_journal import MemoryJournal
from tests.support.forwarder.scans import run_scan
from wire.messages import Origin
from wire.query import Filter


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal(GROUP)


@pytest.fixture
def group(journal: MemoryJournal) -> LogGroup:
    return LogGroup(journal)


def _origins(group: LogGroup) -> dict[str, Origin]:
    return {row.id: row.origin for row in group.journal.read_after(0, 999)}


def test_known_events_are_ignored_also_within_a_batch(group: LogGroup) -> None:
    first = events(range(1, 4))
    assert group.ingest(first, "live") == Ingested(3, 0, 0, 3)
    assert group.ingest([*first, event(4), event(4)], "live") == Ingested(1, 4, 0, 4)
    assert group.ingest([], "live") == Ingested(0, 0, 0, 4)
    assert (group.name, group.epoch, group.head_seq) == (GROUP, group.journal.epoch, 4)


def test_a_filtered_log_group_has_no_rule_of_silence() -> None:
    filtered = MemoryJournal(GROUP, pattern="ERROR")
    assert LogGroup(filtered).pattern == "ERROR"
    assert LogGroup(filtered, lifecycle=Lifecycle.idle(5)).lifecycle is None
    by_message = LogGroup(filtered, lifecycle=Lifecycle.pattern("over")).lifecycle
    assert by_message is not None
    assert by_message.reads_messages


def test_equal_times_and_messages_are_different_events(group: LogGroup) -> None:
    same = [event(number, message="the same") for number in range(1, 6)]
    assert group.ingest(same, "live").new == 5


def test_a_whole_scan_covers_up_to_its_begin_and_completes_all_but_the_allowance(
    group: LogGroup,
) -> None:
    done = run_scan(group, events(range(1, 4)), NOW_MS + 9_000)
    assert done == ScanDone(NOW_MS, NOW_MS + 9_000 - ALLOWANCE_MS, NOW_MS + 9_000, 3)
    assert group.take_notices() == [done]
    assert group.take_notices() == []
    assert group.coverage.ranges == [(NOW_MS, NOW_MS + 9_000)]
    assert group.complete_through(NOW_MS) == NOW_MS + 9_000 - ALLOWANCE_MS
    assert group.complete_through(NOW_MS - 1) is None


def test_a_scan_of_a_past_range_completes_all_of_it(group: LogGroup) -> None:
    done = run_scan(group, [], NOW_MS + 9_000, through=NOW_MS + 5_000)
    assert done == ScanDone(NOW_MS, NOW_MS + 5_000, NOW_MS + 9_000, 0)
    assert group.coverage.ranges == [(NOW_MS, NOW_MS + 5_000)]


def test_a_scan_of_the_present_alone_completes_nothing_yet(group: LogGroup) -> None:
    assert run_scan(group, [event(1)], NOW_MS + ALLOWANCE_MS - 1) is None
    assert group.coverage.ranges == [(NOW_MS, NOW_MS + ALLOWANCE_MS - 1)]


def test_an_abandoned_scan_completes_nothing(group: LogGroup) -> None:
    scan = group.begin_scan("backfill", NOW_MS, None, NOW_MS + 9_000)
    scan.take_page([event(1)])
    group.abandon_scan(scan)
    assert group.take_notices() == []
    assert group.coverage.ranges == []
    assert group.head_seq == 1
    assert group.finish_scan(scan, NOW_MS + 9_000) is None


def test_a_timestamp_ahead_of_the_clock_moves_nothing(group: LogGroup) -> None:
    ahead = event(9, NOW_MS + 6_600_000)
    done = run_scan(group, [event(1), ahead], NOW_MS + 9_000, kind="live")
    assert done is not None
    assert done.through == NOW_MS + 9_000 - ALLOWANCE_MS
    assert group.coverage.end == NOW_MS + 9_000
    later = event(2, NOW_MS + 8_000)
    done = run_scan(group, [later, ahead], NOW_MS + 10_000, NOW_MS + 4_000, kind="live")
    assert done is not None
    assert (done.through, done.head_seq) == (NOW_MS + 10_000 - ALLOWANCE_MS, 3)


def test_only_new_events_that_a_poll_should_have_found_are_a_gap(group: LogGroup) -> None:
    polled = NOW_MS + 60_000
    run_scan(group, [], NOW_MS + 59_000, kind="live")
    run_scan(group, [], polled, polled - OVERLAP_MS, kind="live")
    group.take_notices()
    missed = [event(1, NOW_MS + 20_000), event(2, NOW_MS + 30_000)]
    young = event(3, polled - OVERLAP_MS)
    done = run_scan(group, [*missed, young], polled + 500)
    assert _origins(group) == {"1": "repair", "2": "repair", "3": "live"}
    gap, marked = group.take_notices()
    assert marked == done
    assert isinstance(gap, GapRecord)
    assert (gap.from_, gap.through) == (NOW_MS + 20_000, NOW_MS + 30_000)
    assert (gap.state, gap.recovered) == ("repaired", 2)
    assert gap.id.startswith(group.epoch)
    assert group.journal.gaps() == []


def test_events_that_an_abandoned_scan_repaired_are_declared(group: LogGroup) -> None:
    run_scan(group, [], NOW_MS + 60_000, kind="live")
    group.take_notices()
    scan = group.begin_scan("repair", NOW_MS, None, NOW_MS + 61_000)
    scan.take_page([event(1)])
    group.abandon_scan(scan)
    assert [type(notice) for notice in group.take_notices()] == [GapRecord]


def test_time_that_was_never_scanned_is_no_gap(group: LogGroup) -> None:
    run_scan(group, [], NOW_MS + 60_000, NOW_MS + 50_000, kind="live")
    group.take_notices()
    run_scan(group, [event(1)], NOW_MS + 61_000, through=NOW_MS + 10_000, kind="backfill")
    run_scan(group, [event(2, NOW_MS + 20_000)], NOW_MS + 61_000, NOW_MS + 11_000, kind="repair")
    assert _origins(group) == {"1": "backfill", "2": "backfill"}
    assert not any(isinstance(notice, GapRecord) for notice in group.take_notices())


def test_events_written_while_the_forwarder_was_down_are_live_in_a_repair_scan(
    journal: MemoryJournal,
) -> None:
    journal.cover(NOW_MS, NOW_MS + 1_000)
    group = LogGroup(journal)
    run_scan(group, [event(1, NOW_MS + 500), event(2, NOW_MS + 1_001)], NOW_MS + 99_000)
    assert _origins(group) == {"1": "repair", "2": "live"}


def test_new_events_behind_a_mark_are_late(group: LogGroup) -> None:
    run_scan(group, [], NOW_MS + 9_000)
    assert group.ingest([event(1), event(2, NOW_MS + 8_000)], "live").late == 1


def test_bodies_are_restored_by_requested_history(group: LogGroup) -> None:
    logged = events(range(1, 4))
    group.ingest(logged, "live")
    assert group.retain(before=NOW_MS + 9_000) == 3
    run_scan(group, logged, NOW_MS + 9_000, kind="repair")
    assert [row.message for row in group.journal.read_after(0, 9)] == [None, None, None]
    run_scan(group, logged[:2], NOW_MS + 9_000, kind="backfill")
    assert group.ingest(logged[1:], "live").new == 0
    assert [row.message for row in group.journal.read_after(0, 9)] == ["line 1", "line 2", "line 3"]


def test_a_lost_body_that_is_found_counts_again(group: LogGroup) -> None:
    logged = events(range(1, 3))
    group.ingest(logged, "live")
    group.retain(before=NOW_MS + 9_000)
    group.journal.mark_lost(["1"], "gone")
    assert group.totals.total(NOW_MS, NOW_MS + 99, Filter()).count == 1
    assert run_scan(group, [logged[1]], NOW_MS + 9_000) is not None
    assert run_scan(group, logged, NOW_MS + 10_000) is not None
    assert group.totals.total(NOW_MS, NOW_MS + 99, Filter()).count == 2
    assert [row.message for row in group.journal.read_after(0, 9)] == ["line 1", None]


def test_beyond_its_size_the_journal_begins_a_chain_with_a_reset(group: LogGroup) -> None:
    group.ingest(events(range(1, 101)), "live")
    size = group.journal.size_bytes()
    assert group.retain(bytes_max=size) == 0
    assert group.retain(bytes_max=1) == 100
    assert group.head_seq == 100
    assert group.retain(bytes_max=1) == 0
    assert group.head_seq == 0
    assert group.take_notices() == [Reset(group.epoch, TOO_LARGE)]


def test_an_execution_ends_after_two_scans_and_again_after_a_late_event(
    journal: MemoryJournal,
) -> None:
    lifecycle = Lifecycle.pattern("(?P<FAILED>exit 1)|(?P<SUCCEEDED>exit 0)")
    group = LogGroup(journal, lifecycle=lifecycle)
    logged = [event(1), event(2, NOW_MS + 900, message="exit 1")]
    ends: list[ExecutionEnd] = []
    for second in range(1, 8):
        now_ms = NOW_MS + 10_000 * second
        if second == 5:
            logged.append(event(3, NOW_MS + 950, message="last words"))
        assert group.drain_range(now_ms) is None or second in (2, 3, 6, 7)
        run_scan(group, logged, now_ms)
        ends += [one for one in group.take_notices() if isinstance(one, ExecutionEnd)]
    assert ends == [
        ExecutionEnd("1", "FAILED", NOW_MS, NOW_MS + 900, 2),
        ExecutionEnd("1", "FAILED", NOW_MS, NOW_MS + 950, 3),
    ]
    assert group.executions.end_of("job/1") == ends[-1]
    [shown] = group.executions.summaries(NOW_MS)
    assert (shown.status, shown.count) == ("FAILED", 3)


def test_a_restart_remembers_ended_executions(journal: MemoryJournal) -> None:
    lifecycle = Lifecycle.pattern("exit")
    group = LogGroup(journal, lifecycle=lifecycle)
    logged = [event(1, message="exit")]
    for second in (10, 20, 30):
        run_scan(group, logged, NOW_MS + 1_000 * second)
    assert group.executions.end_of("1") is not None
    journal.begin_epoch()
    again = LogGroup(journal, lifecycle=lifecycle)
    assert again.executions.end_of("1") == ExecutionEnd("1", "UNKNOWN", NOW_MS, NOW_MS, 1)
    again.ingest([event(2)], "repair")
    assert again.executions.end_of("1") is None
    assert LogGroup(journal, lifecycle=lifecycle).executions.end_of("1") is None
    assert LogGroup(journal, lifecycle=Lifecycle.idle(5)).executions.end_of("1") is None


def test_end_execution_ends_it_after_two_scans(journal: MemoryJournal) -> None:
    group = LogGroup(journal, lifecycle=Lifecycle.external("ecs:cluster"))
    group.ingest([event(1)], "live")
    group.end_execution("1", "STOPPED")
    assert group.drain_range(NOW_MS + 5) == (NOW_MS, NOW_MS + 5)
    for second in (10, 20):
        run_scan(group, [event(1)], NOW_MS + 1_000 * second)
    end = group.executions.end_of("1")
    assert end is not None
    assert end.status == "STOPPED"
