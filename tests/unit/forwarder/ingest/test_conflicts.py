"""Events that must not enter the journal: contradictions and what the protocol can't carry [17]."""

from __future__ import annotations

import pytest

from forwarder.ingest.conflicts import (
    JOIN_MS,
    SETTLED_MS,
    SETTLED_SCANS,
    WRONG_ID,
    WRONG_TIMESTAMP,
    Conflicts,
    join_positions,
    sort_out,
)
from forwarder.ingest.executions import DRAIN_MS, Lifecycle
from forwarder.ingest.gaps import CONTRADICTED, INCONSISTENT, SAME_REASON_MAX, UNREADABLE
from forwarder.ingest.log_group import RECREATED, LogGroup
from forwarder.ingest.scan import Ingested
from forwarder.records import ExecutionEnd, GapRecord, LogEvent, Reset, ScanDone, UnreadableEvent
from tests.support.forwarder.log_events import GROUP, NOW_MS, event, events
from tests.support.forwarder.memory_journal import MemoryJournal
from tests.support.forwarder.scans import run_scan
from wire.limits import TIMESTAMP_MAX

LATER = NOW_MS + 60_000


@pytest.fixture
def group() -> LogGroup:
    return LogGroup(MemoryJournal(GROUP))


def gaps(group: LogGroup) -> list[tuple[int, int, str]]:
    return [(gap.from_, gap.through, gap.state) for gap in group.journal.gaps()]


def _event(event_id: str, timestamp: int = 5) -> LogEvent:
    return LogEvent(event_id, timestamp, None, "job/1", "line")


# Contradictions


@pytest.mark.parametrize("elsewhere", [event(2, NOW_MS + 500), event(2, NOW_MS, "job/2")])
def test_a_known_id_elsewhere_is_held_back(group: LogGroup, elsewhere: LogEvent) -> None:
    epoch = group.epoch
    group.ingest([event(1), event(2)], "live")
    known = group.journal.find(["2"])["2"]
    scan = group.begin_scan("repair", NOW_MS, None, LATER)
    assert scan.take_page([event(1), elsewhere, event(3)]) == Ingested(1, 1, 0, 3, held=1)
    assert group.finish_scan(scan, LATER) is None
    assert group.epoch == epoch
    assert group.journal.find(["2"])["2"] == known
    assert group.journal.find(["3"])
    [gap] = group.journal.gaps()
    assert gap.state == "suspected"
    assert gap.from_ == min(known.timestamp, elsewhere.timestamp)
    assert gap.through == max(known.timestamp, elsewhere.timestamp)
    what = "timestamp" if elsewhere.stream == "job/1" else "log stream"
    assert gap.reason == f"{INCONSISTENT}: event id 2 came with another {what}"
    assert (group.counts.held, group.counts.inconclusive) == (1, 1)
    assert not [one for one in group.take_notices() if isinstance(one, Reset | ScanDone)]


def test_one_answer_does_not_take_what_only_the_journal_has(group: LogGroup) -> None:
    only_here = events(range(1, 501))
    group.ingest(only_here, "live")
    for step in range(40):  # CloudWatch has them no more, and answers with one under another time
        run_scan(group, [event(7, NOW_MS + 9_000 + step)], LATER + step)
        assert not group.is_recreated(only_here[0].timestamp - 1)
    rows = group.journal.read_after(0, 1_000)
    assert [row.message for row in rows] == [one.message for one in only_here]
    assert group.counts.held == 40


def test_an_id_in_two_streams_of_a_page_is_in_neither(group: LogGroup) -> None:
    scan = group.begin_scan("live", NOW_MS, None, LATER)
    page = [event(1), event(2, stream="job/1"), event(2, stream="job/2"), event(3)]
    assert scan.take_page(page) == Ingested(2, 0, 0, 2, held=2)
    assert group.finish_scan(scan, LATER) is None
    assert set(group.journal.find(["1", "2", "3"])) == {"1", "3"}
    done = run_scan(group, [event(1), event(2, stream="job/2"), event(3)], LATER)
    assert done is not None
    assert group.journal.find(["2"])["2"].stream == "job/2"
    assert gaps(group) == []


def test_a_consistent_scan_begun_before_completes_nothing_there(group: LogGroup) -> None:
    group.ingest([event(1)], "live")
    before = group.begin_scan("repair", NOW_MS - 10_000, None, LATER)
    apart = group.begin_scan("repair", NOW_MS - 10_000, NOW_MS - 5_000, LATER)
    run_scan(group, [event(1, NOW_MS + 5)], LATER)
    before.take_page([event(1)])
    assert group.finish_scan(before, LATER) is None
    assert group.finish_scan(apart, LATER) is not None
    assert run_scan(group, [event(1)], LATER, NOW_MS - 10_000) is not None
    assert gaps(group) == []


def test_a_scan_that_contradicts_again_keeps_the_gap(group: LogGroup) -> None:
    group.ingest([event(1)], "live")
    run_scan(group, [event(1, NOW_MS + 5)], LATER)
    old = group.begin_scan("repair", NOW_MS, None, LATER)
    run_scan(group, [event(1, NOW_MS + 5)], LATER)
    old.take_page([event(1)])
    assert group.finish_scan(old, LATER) is None
    assert [state for _, _, state in gaps(group)] == ["suspected"]


def test_contradictions_far_apart_are_gaps_apart_up_to_a_limit(group: LogGroup) -> None:
    distance = 10 * JOIN_MS
    known = [event(n, NOW_MS + n * distance) for n in range(1, 40)]
    group.ingest(known, "live")
    for one in known:
        moved = event(int(one.id), one.timestamp + 1)
        run_scan(group, [moved], NOW_MS + 50 * distance)
    found = gaps(group)
    assert len(found) == SAME_REASON_MAX
    assert all(any(a <= one.timestamp < b for a, b, _ in found) for one in known)


@pytest.mark.parametrize("created_ms", [NOW_MS - 1, NOW_MS])
def test_a_group_that_is_not_younger_than_the_row_keeps_its_chain(
    group: LogGroup, created_ms: int
) -> None:
    group.ingest([LogEvent("1", NOW_MS, NOW_MS, "job/1", "line")], "live")
    run_scan(group, [event(1, NOW_MS + 5)], LATER)
    assert not group.is_recreated(created_ms)


def test_a_group_younger_than_a_contradicted_row_was_recreated(group: LogGroup) -> None:
    group.ingest([LogEvent("1", NOW_MS, NOW_MS, "job/1", "line")], "live")
    assert not group.is_recreated(NOW_MS + 1)  # nothing contradicts
    again = LogGroup(group.journal)
    run_scan(again, [event(1, NOW_MS + 5)], LATER)
    assert again.is_recreated(NOW_MS + 1)


def test_a_group_younger_than_before_was_recreated_if_answers_contradict(group: LogGroup) -> None:
    group.ingest([event(1)], "live")  # by the live path, at an unknown time
    assert not group.is_recreated(NOW_MS - 9_000)
    assert not group.is_recreated(NOW_MS + 1)
    run_scan(group, [event(1, NOW_MS + 5)], LATER)
    assert group.is_recreated(NOW_MS + 1)
    group.begin_chain(RECREATED)
    assert not group.is_recreated(NOW_MS + 1)
    assert group.journal.gaps() == []


def test_the_reason_says_what_a_check_found(group: LogGroup) -> None:
    group.ingest([event(1)], "live")
    run_scan(group, [event(1, NOW_MS + 5)], LATER)
    group.explain_conflicts("allow it")
    group.explain_conflicts("it was not")
    [gap] = group.journal.gaps()
    assert gap.reason == f"{INCONSISTENT}: event id 1 came with another timestamp; it was not"
    before = len(group.take_notices())
    group.explain_conflicts("it was not")
    assert group.take_notices() == []
    assert before == 3


def test_a_contradiction_that_lasts_is_declared_for_good_and_marks_go_on(group: LogGroup) -> None:
    group.ingest([event(1), event(2)], "live")
    step = SETTLED_MS // (SETTLED_SCANS - 1) + 1
    answer = [event(1), event(2, NOW_MS + 5_000)]
    for number in range(SETTLED_SCANS + 5):
        assert run_scan(group, answer, LATER + number * step) is None  # its age is unknown
    assert not group.is_recreated(NOW_MS - 9_000)
    assert run_scan(group, answer, LATER + 100 * step) is None
    assert run_scan(group, answer, LATER + 101 * step) is not None
    [first, second] = group.journal.gaps()
    assert {first.from_, second.from_} == {group.journal.find(["2"])["2"].timestamp, NOW_MS + 5_000}
    assert {(gap.state, gap.reason) for gap in (first, second)} == {("unrecoverable", CONTRADICTED)}
    assert len(group.journal.read_after(0, 9)) == 2


def test_a_contradiction_that_comes_and_goes_does_not_last() -> None:
    one = Conflicts()
    one.add(None)
    for number in range(3 * SETTLED_SCANS):
        one.note_answer()
        assert one.lasting(["1"], number * SETTLED_MS) == []
        if number % (SETTLED_SCANS - 1) == SETTLED_SCANS - 2:
            one.retract(["1"])


def test_quick_scans_alone_do_not_make_a_contradiction_last() -> None:
    one = Conflicts()
    one.add(None)
    one.note_answer()
    assert not any(one.lasting(["1"], number) for number in range(3 * SETTLED_SCANS))
    assert one.lasting(["1"], SETTLED_MS) == ["1"]
    one.settle(["1"])
    assert one.is_settled("1")


def test_a_subscription_is_not_refuted_by_a_contradiction(group: LogGroup) -> None:
    group.ingest([event(1)], "live")
    group.agreement.adopt_rows(group.journal.read_after(0, 9), LATER)
    run_scan(group, [event(1, NOW_MS + 5)], LATER)
    assert group.agreement.refuted is None


# Scans resumed by time


def test_a_resumed_scan_keeps_its_events_and_proves_nothing(group: LogGroup) -> None:
    scan = group.begin_scan("repair", NOW_MS, None, LATER)
    scan.take_page([event(1)])
    scan.is_resumed = True
    scan.take_page([event(2)])
    assert group.finish_scan(scan, LATER) is None
    assert group.head_seq == 2
    assert group.take_notices() == []
    assert group.counts.inconclusive == 1
    assert run_scan(group, [event(1), event(2)], LATER) is not None


# Events that the protocol can't carry


def test_ordinary_events_are_unchanged() -> None:
    found = [_event("3" * 56), _event("12")]
    assert sort_out(found) == (found, [])
    assert sort_out(found)[0] is found
    assert sort_out([]) == ([], [])


def test_leading_zeros_of_ids_are_removed() -> None:
    good, bad = sort_out([_event("0"), _event("007"), _event("7"), _event("00")])
    assert [one.id for one in good] == ["0", "7", "7", "0"]
    assert bad == []


@pytest.mark.parametrize("event_id", ["", "abc", "-1", "1.5", "٣", "9" * 58, "²", "1\n"])
def test_an_id_that_is_not_a_number_is_set_aside(event_id: str) -> None:
    good, [bad] = sort_out([_event("1"), _event(event_id), _event("2")])
    assert [one.id for one in good] == ["1", "2"]
    assert (bad.timestamp, bad.why) == (5, WRONG_ID)
    assert "\n" not in bad.text


@pytest.mark.parametrize("timestamp", [-1, 1 << 53])
def test_a_timestamp_out_of_the_protocols_range_is_set_aside(timestamp: int) -> None:
    good, [bad] = sort_out([_event("1", timestamp), _event("2")])
    assert [one.id for one in good] == ["2"]
    assert bad.why == WRONG_TIMESTAMP


def test_an_unreadable_event_is_declared_once_and_the_rest_is_proved(group: LogGroup) -> None:
    page = [event(1), LogEvent("a-b", NOW_MS + 3, None, "job/1", "line"), event(2)]
    for number in range(3):
        assert run_scan(group, page, LATER + number) is not None
    [gap] = group.journal.gaps()
    assert gap == GapRecord(
        gap.id, NOW_MS + 3, NOW_MS + 3, "unrecoverable", UNREADABLE.format(WRONG_ID), 0
    )
    assert [row.id for row in group.journal.read_after(0, 9)] == ["1", "2"]
    assert group.counts.unreadable == 3


@pytest.mark.parametrize(
    ("timestamp", "position"),
    [(-1, NOW_MS), (None, NOW_MS), (1 << 60, LATER), (TIMESTAMP_MAX, TIMESTAMP_MAX)],
)
def test_a_timestamp_outside_of_the_scan_is_clipped_to_it(
    group: LogGroup, timestamp: int | None, position: int
) -> None:
    scan = group.begin_scan("repair", NOW_MS, None, LATER)
    scan.set_aside(scan, [UnreadableEvent("'x'", timestamp, "why")])
    assert gaps(group) == [(position, position, "unrecoverable")]
    again = group.begin_scan("repair", NOW_MS + 5, None, LATER + 5)
    again.set_aside(again, [UnreadableEvent("'x'", timestamp, "why")])
    assert gaps(group) == [(position, position, "unrecoverable")]


def test_many_unreadable_events_are_few_gaps(group: LogGroup) -> None:
    scan = group.begin_scan("repair", 0, None, LATER)
    times = range(0, 4_000_000, 100_000)
    for timestamp in times:
        scan.set_aside(scan, [UnreadableEvent(f"'{timestamp}'", timestamp, "why")])
    found = gaps(group)
    assert len(found) == SAME_REASON_MAX
    assert all(any(low <= one <= high for low, high, _ in found) for one in times)


def test_unreadable_events_of_other_paths_are_counted(group: LogGroup) -> None:
    assert group.ingest([event(1), _event("a-b")], "live").new == 1
    assert group.counts.unreadable == 1


def test_positions_are_joined() -> None:
    assert join_positions([9, 1, 2, 30], 5) == [(1, 2), (9, 9), (30, 30)]
    assert join_positions([]) == []


# Executions that end


def _ends(group: LogGroup) -> list[ExecutionEnd]:
    return [one for one in group.take_notices() if isinstance(one, ExecutionEnd)]


def test_an_execution_ends_only_once_the_events_held_back_in_its_range_are_here() -> None:
    group = LogGroup(MemoryJournal(GROUP), lifecycle=Lifecycle.pattern("^over$"))
    last = NOW_MS + 5 * DRAIN_MS
    over = event(9, last, message="over")
    page = [event(1), event(2, stream="job/1"), event(2, stream="job/2"), over]
    run_scan(group, page, last + 10)
    for now_ms in (last + 5_000, last + 10_000, last + 15_000):
        run_scan(group, [over], now_ms, last - DRAIN_MS)
    assert _ends(group) == []
    wanted = group.drain_range(last + 15_000)
    assert wanted == (NOW_MS, NOW_MS)
    run_scan(group, [event(1), event(2)], last + 20_000, *wanted)
    for now_ms in (last + 25_000, last + 30_000):
        assert _ends(group) == []
        wanted = group.drain_range(now_ms)
        assert wanted == (last - DRAIN_MS, now_ms)
        run_scan(group, [over], now_ms, *wanted)
    [end] = _ends(group)
    assert (end.execution, end.from_, end.through, end.head_seq) == ("1", NOW_MS, last, 3)
    assert gaps(group) == []
