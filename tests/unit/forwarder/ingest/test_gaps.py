from __future__ import annotations

import pytest

from forwarder.ingest.gaps import PENDING_MAX, SCANS_MIN, WITHHELD, MissingEvents, why_withheld
from forwarder.ingest.log_group import LogGroup
from forwarder.records import GapRecord, Row, ScanDone
from tests.support.forwarder.log_events import GROUP, NOW_MS, event
from tests.support.forwarder.memory_journal import MemoryJournal
from tests.support.forwarder.scans import change_gap, run_scan


@pytest.fixture
def group() -> LogGroup:
    return LogGroup(MemoryJournal(GROUP))


def test_a_gap_is_repaired_by_a_scan_that_begins_later(group: LogGroup) -> None:
    before = group.begin_scan("repair", NOW_MS, None, NOW_MS + 9_000)
    gap = group.declare_gap(NOW_MS + 10, NOW_MS + 20, "suspected", "the live path stopped")
    lost = group.declare_gap(NOW_MS + 12, NOW_MS + 15, "unrecoverable", "expired")
    assert group.take_notices() == [gap, lost]
    group.finish_scan(before, NOW_MS + 9_000)
    assert [one.state for one in group.journal.gaps()] == ["suspected", "unrecoverable"]
    repairing = change_gap(group, gap.id, "repairing")
    assert repairing.state == "repairing"
    group.take_notices()
    run_scan(group, [event(1, NOW_MS + 15)], NOW_MS + 10_000)
    recovered, repaired, done = group.take_notices()
    assert isinstance(recovered, GapRecord)
    assert isinstance(repaired, GapRecord)
    assert isinstance(done, ScanDone)
    assert (recovered.id, recovered.recovered) == (gap.id, 1)
    assert (repaired.id, repaired.state, repaired.recovered) == (gap.id, "repaired", 1)
    assert group.journal.gaps() == [lost]


def test_a_gap_is_repaired_when_scans_have_completed_all_of_it(group: LogGroup) -> None:
    group.declare_gap(NOW_MS, NOW_MS + 20_000, "suspected", "the live path stopped")
    run_scan(group, [], NOW_MS + 9_000)
    run_scan(group, [], NOW_MS + 99_000, NOW_MS + 7_002)
    assert [one.state for one in group.journal.gaps()] == ["suspected"]
    run_scan(group, [], NOW_MS + 99_000, NOW_MS + 7_001, NOW_MS + 7_001)
    assert group.journal.gaps() == []


def test_a_widened_gap_is_repaired_only_by_later_scans(group: LogGroup) -> None:
    gap = group.declare_gap(NOW_MS, NOW_MS + 1_000, "suspected", "polls fail")
    early = group.begin_scan("repair", NOW_MS, None, NOW_MS + 9_000)
    wider = group.widen_gap(gap.id, NOW_MS, NOW_MS + 5_000)
    assert wider is not None
    assert (wider.id, wider.through, wider.state) == (gap.id, NOW_MS + 5_000, "suspected")
    assert group.widen_gap(gap.id, NOW_MS + 1, NOW_MS + 2) == wider
    group.finish_scan(early, NOW_MS + 9_000)
    assert group.journal.gaps() == [wider]
    run_scan(group, [], NOW_MS + 9_000)
    assert group.journal.gaps() == []
    assert group.widen_gap(gap.id, NOW_MS, NOW_MS + 9_000) is None


def test_a_gap_is_repairing_while_a_scan_reads_it(group: LogGroup) -> None:
    group.declare_gap(NOW_MS, NOW_MS + 5_000, "suspected", "polls fail")
    elsewhere = group.begin_scan("repair", NOW_MS - 10, NOW_MS - 1, NOW_MS + 9_000)
    elsewhere.take_page([event(1, NOW_MS - 5)])
    first = group.begin_scan("live", NOW_MS, None, NOW_MS + 9_000)
    second = group.begin_scan("repair", NOW_MS, None, NOW_MS + 9_000)
    group.take_notices()
    first.take_page([event(2), event(3)])
    second.take_page([event(2), event(3)])
    group.abandon_scan(first)
    assert [one.state for one in group.journal.gaps()] == ["repairing"]
    group.abandon_scan(second)
    assert [one.state for one in group.journal.gaps()] == ["suspected"]
    third = group.begin_scan("live", NOW_MS, None, NOW_MS + 9_000)
    third.take_page([event(2), event(3), event(4, NOW_MS + 6_000)])
    group.finish_scan(third, NOW_MS + 9_000)
    told = [one for one in group.take_notices() if isinstance(one, GapRecord)]
    assert [(one.state, one.recovered) for one in told] == [
        ("repairing", 0),
        ("repairing", 2),
        ("suspected", 2),
        ("repairing", 2),
        ("repaired", 2),
    ]


def test_gaps_of_an_earlier_run_are_repaired_as_well() -> None:
    journal = MemoryJournal(GROUP)
    LogGroup(journal).declare_gap(NOW_MS, NOW_MS + 5_000, "suspected", "polls fail")
    journal.begin_epoch()
    group = LogGroup(journal)
    run_scan(group, [], NOW_MS + 9_000)
    assert journal.gaps() == []


def test_events_that_scans_no_longer_return_are_declared_after_some_scans(
    group: LogGroup,
) -> None:
    logged = [event(1), event(2, NOW_MS + 500, "job/2")]
    run_scan(group, logged, NOW_MS + 9_000)
    for number in range(5):
        assert run_scan(group, logged[:1], NOW_MS + 10_000 + number) is None
        assert len(group.journal.gaps()) == (number >= 2)
    [gap] = group.journal.gaps()
    assert (gap.from_, gap.through, gap.state) == (NOW_MS + 500, NOW_MS + 500, "suspected")
    assert gap.reason.startswith(WITHHELD)
    assert "job/2" in gap.reason
    told = [one for one in group.take_notices() if isinstance(one, GapRecord)]
    assert told == [gap]  # once
    # Another run finds it in its journal, and does not declare it again.
    group.journal.begin_epoch()
    later = LogGroup(group.journal)
    for number in range(5):
        assert run_scan(later, logged[:1], NOW_MS + 20_000 + number) is None
    assert later.journal.gaps() == [gap]
    assert run_scan(later, logged, NOW_MS + 30_000) is not None
    assert later.journal.gaps() == []


def test_a_gap_of_events_stamped_ahead_is_repaired_before_that_time(group: LogGroup) -> None:
    logged = [event(1), event(2, NOW_MS + 7_000_000)]
    run_scan(group, logged, NOW_MS + 9_000)
    for number in range(SCANS_MIN):
        run_scan(group, [], NOW_MS + 10_000 + number)
    [gap] = group.journal.gaps()
    assert (gap.from_, gap.through) == (NOW_MS, NOW_MS + 7_000_000)
    # A scan that can't return the second event says nothing of it.
    run_scan(group, logged[:1], NOW_MS + 20_000, through=NOW_MS + 20_000)
    assert group.journal.gaps() == [gap]
    # Nor does a poll say anything of the time before it; both together do.
    assert run_scan(group, logged[1:], NOW_MS + 21_000, NOW_MS + 11_000, kind="live") is not None
    assert group.journal.gaps() == []


def test_a_contradiction_ahead_of_the_clock_is_repaired_before_that_time(group: LogGroup) -> None:
    logged = [event(1), event(2, NOW_MS + 7_000_000)]
    run_scan(group, logged, NOW_MS + 9_000)
    moved = event(2, NOW_MS + 7_000_001)
    assert run_scan(group, [logged[0], moved], NOW_MS + 10_000) is None
    assert [one.through for one in group.journal.gaps()] == [NOW_MS + 7_000_001]
    assert run_scan(group, logged, NOW_MS + 11_000, through=NOW_MS + 11_000) is not None
    assert len(group.journal.gaps()) == 1
    assert run_scan(group, logged, NOW_MS + 12_000) is not None
    assert group.journal.gaps() == []


def test_adjoining_unrecoverable_ranges_are_one_gap(group: LogGroup) -> None:
    gaps = group._gaps
    first = gaps.declare_lost(NOW_MS, NOW_MS + 9, "expired")
    gaps.declare_lost(NOW_MS + 100, NOW_MS + 109, "expired")
    gaps.declare_lost(NOW_MS + 10, NOW_MS + 19, "away")
    wider = gaps.declare_lost(NOW_MS - 50, NOW_MS - 1, "expired")
    assert gaps.declare_lost(NOW_MS - 20, NOW_MS + 5, "expired") == wider
    assert wider.id == first.id
    found = sorted((one.from_, one.through) for one in group.journal.gaps())
    assert found == [
        (NOW_MS - 50, NOW_MS + 9),
        (NOW_MS + 10, NOW_MS + 19),
        (NOW_MS + 100, NOW_MS + 109),
    ]


def _row(timestamp: int, stream: str = "s", ingested: int | None = 5) -> Row:
    return Row(1, str(timestamp), timestamp, ingested, stream, "m", "live", 0)


def test_events_missing_from_several_scans_are_declared() -> None:
    one = MissingEvents()
    for number in range(1, SCANS_MIN):
        assert one.add([_row(10), _row(20 + number)]) is None
    assert one.add([_row(15)]) == (10, 20 + SCANS_MIN - 1)


def test_a_scan_that_lacks_nothing_resets_the_count() -> None:
    one = MissingEvents()
    for _ in range(SCANS_MIN):
        one.add([_row(10)])
    one.clear_range(11, 99)
    assert one.add([_row(10)]) == (10, 10)
    one.clear_range(0, 99)
    assert one.add([_row(10)]) is None


def test_ranges_that_do_not_touch_are_counted_separately_and_bounded() -> None:
    one = MissingEvents()
    for number in range(2 * PENDING_MAX):
        assert one.add([_row(number)]) is None
    assert len(one._pending) == PENDING_MAX


def test_suspect_streams_are_returned_once() -> None:
    one = MissingEvents()
    one.add([_row(1, "a"), _row(2, "b")])
    assert one.take_streams() == {"a", "b"}
    assert one.take_streams() == set()


def test_an_event_ingested_before_its_stream_was_created_is_older() -> None:
    one = MissingEvents()
    one.add([_row(1, "a", 100), _row(2, "a", 50), _row(3, "b", None)])
    assert one.lacks_older(51, "a")
    assert not one.lacks_older(50, "a")
    assert not one.lacks_older(99, "b")
    assert one.lacks_older(51)
    one.forget_stream("a")
    assert not one.lacks_older(51)
    assert not one.lacks_older(51, "a")


def test_the_reason_names_a_stream() -> None:
    assert "log stream job/1)" in why_withheld([_row(1, "job/1")])
