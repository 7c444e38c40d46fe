"""What any journal must do, by example; the property tests compare the two journals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forwarder.journal import sqlite
from forwarder.journal.contract import (
    EPOCHS_MAX,
    LOST_RANGES_MAX,
    ROW_BYTES,
    Chain,
    Journal,
    lost_ranges,
    new_epoch,
)
from forwarder.journal.sqlite import SqliteJournals
from forwarder.records import GapRecord, KnownRow, LogEvent, RangeTotal, Row
from tests.support.forwarder import memory_journal
from tests.support.forwarder.log_events import GROUP, NOW_MS, epochs, event, events
from tests.support.forwarder.memory_journal import MemoryJournal
from wire.digest import digest_sum, event_digest
from wire.messages import Lost
from wire.order import Interval, key_of
from wire.query import Filter

ALL = Filter()


@pytest.fixture(params=["memory", "sqlite"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal(GROUP)
        return
    journals = SqliteJournals(tmp_path / "journal.sqlite3")
    yield journals.journal(GROUP)
    journals.close()


def _digest(logged: LogEvent) -> int:
    return event_digest(logged.id, logged.timestamp, logged.stream, logged.message)


def _total(*logged: LogEvent) -> RangeTotal:
    return RangeTotal(len(logged), digest_sum(map(_digest, logged)))


def _ids(rows: list[Row]) -> list[str]:
    return [row.id for row in rows]


def test_an_empty_journal(journal: Journal) -> None:
    assert journal.group == GROUP
    assert journal.head_seq == 0
    assert [link.first_seq for link in journal.chain] == [1]
    assert journal.chain[-1].epoch == journal.epoch
    assert journal.is_resumable(journal.epoch, 0)
    assert journal.read_after(0, 10) == []
    assert journal.read_between(Interval(), 10) == []
    assert journal.total(0, 1 << 52, ALL) == RangeTotal(0, 0)
    assert (list(journal.coverage()), journal.gaps(), journal.streams()) == ([], [], [])
    assert journal.find(["1"]) == {}
    assert journal.retire(before=1 << 52, bytes_max=0) == 0
    assert journal.size_bytes() == 0


def test_rows_are_numbered_densely_in_the_order_of_appending(journal: Journal) -> None:
    first, second = event(9, NOW_MS + 50), event(2, NOW_MS, "job/2", ingestion_time=None)
    assert journal.append([first, second], "live") == 2
    assert journal.append([event(5)], "repair") == 3
    rows = journal.read_after(0, 10)
    assert [row.seq for row in rows] == [1, 2, 3]
    assert rows[0] == Row(
        1, "9", NOW_MS + 50, NOW_MS + 350, "job/1", "line 9", "live", _digest(first)
    )
    assert (rows[1].ingestion_time, rows[1].stream) == (None, "job/2")
    assert rows[2].origin == "repair"
    assert journal.head_seq == 3


def test_appending_nothing_changes_nothing(journal: Journal) -> None:
    assert journal.append([], "live") == 0
    assert journal.streams() == []


def test_reading_in_seq_order_is_bounded(journal: Journal) -> None:
    journal.append(events(range(1, 8)), "live")
    assert _ids(journal.read_after(2, 3)) == ["3", "4", "5"]
    assert _ids(journal.read_after(2, 3, until=4)) == ["3", "4"]
    assert _ids(journal.read_after(5, 10, until=99)) == ["6", "7"]
    assert journal.read_after(7, 3) == []
    assert journal.read_after(99, 3) == []
    assert journal.read_after(5, 10, until=3) == []


def test_reading_in_display_order_is_by_time_then_by_the_id_as_a_number(journal: Journal) -> None:
    logged = [event(10), event(9), event(100, NOW_MS - 1), event(1, NOW_MS + 1), event(11)]
    journal.append(logged, "live")
    assert _ids(journal.read_between(Interval(), 10)) == ["100", "9", "10", "11", "1"]
    newest = journal.read_between(Interval(), 3, newest_first=True)
    assert _ids(newest) == ["1", "11", "10"]
    assert _ids(journal.read_between(Interval(), 10, until_seq=2)) == ["9", "10"]


def test_an_interval_may_begin_and_end_within_a_millisecond(journal: Journal) -> None:
    journal.append([event(number) for number in range(1, 8)], "live")
    interval = Interval(key_of(NOW_MS, "3"), key_of(NOW_MS, "5"))
    assert _ids(journal.read_between(interval, 10)) == ["3", "4", "5"]
    assert _ids(journal.read_between(interval, 2, newest_first=True)) == ["5", "4"]
    assert _ids(journal.read_between(Interval(key_of(NOW_MS, "6"), None), 10)) == ["6", "7"]
    assert _ids(journal.read_between(Interval(None, key_of(NOW_MS, "2")), 10)) == ["1", "2"]


def test_find_returns_known_rows_only(journal: Journal) -> None:
    journal.append([event(1), event(2, NOW_MS + 5, "job/2")], "live")
    assert journal.find(["1", "2", "3"]) == {
        "1": KnownRow(1, NOW_MS, "job/1", has_body=True, is_lost=False, digest=_digest(event(1))),
        "2": KnownRow(
            2,
            NOW_MS + 5,
            "job/2",
            has_body=True,
            is_lost=False,
            digest=_digest(event(2, NOW_MS + 5, "job/2")),
        ),
    }


def test_totals_by_range_filter_base_and_seq(journal: Journal) -> None:
    logged = [
        event(1, NOW_MS),
        event(2, NOW_MS + 1, "job/2"),
        event(3, NOW_MS + 2),
        event(4, NOW_MS + 200_000),
    ]
    journal.append(logged, "live")
    assert journal.total(NOW_MS, NOW_MS + 200_000, ALL) == _total(*logged)
    assert journal.total(0, (1 << 53) - 1, ALL) == _total(*logged)
    assert journal.total(NOW_MS + 1, NOW_MS + 2, ALL) == _total(*logged[1:3])
    assert journal.total(NOW_MS, NOW_MS + 200_000, ALL, base=1, seq=3) == _total(*logged[1:3])
    assert journal.total(NOW_MS, NOW_MS + 200_000, ALL, seq=2) == _total(*logged[:2])
    only = Filter(executions=("2",))
    assert journal.total(NOW_MS, NOW_MS + 200_000, only) == _total(logged[1])
    assert journal.total(NOW_MS, NOW_MS, Filter(streams=("none",))) == _total()
    assert journal.total(NOW_MS + 1, NOW_MS, ALL) == _total()


def test_any_text_is_stored_unchanged(journal: Journal) -> None:
    odd = [
        event(1, message="half a pair \ud83d, NUL \0, \x1b[31m"),
        event(2, message="😀 \u202e"),
        event(3, stream="job/\udc80"),
    ]
    journal.append(odd, "live")
    rows = journal.read_after(0, 10)
    assert [row.message for row in rows] == [one.message for one in odd]
    assert rows[2].stream == "job/\udc80"
    assert [row.digest for row in rows] == [_digest(one) for one in odd]
    assert journal.total(NOW_MS, NOW_MS, ALL) == _total(*odd)


def test_a_new_epoch_continues_the_chain(journal: Journal) -> None:
    old = journal.epoch
    journal.append(events(range(1, 4)), "live")
    new = journal.begin_epoch()
    assert new == journal.epoch != old
    assert [link.first_seq for link in journal.chain] == [1, 4]
    assert journal.is_resumable(old, 3)
    assert not journal.is_resumable(old, 4)
    assert journal.append([event(4)], "live") == 4
    assert not journal.is_resumable(old, 4)
    assert journal.is_resumable(new, 4)


def test_a_new_chain_forgets_everything(journal: Journal) -> None:
    old = journal.epoch
    journal.append(events(range(1, 4)), "live")
    journal.cover(1, 2)
    journal.put_gap(GapRecord("g", 1, 2, "suspected", "why", 0))
    journal.put_ended("1", "FAILED", "rule")
    revision = journal.revision
    assert journal.begin_chain() == journal.epoch != old
    assert journal.head_seq == 0
    assert journal.revision != revision
    assert not journal.is_resumable(old, 0)
    assert journal.find(["1"]) == {}
    assert journal.read_after(0, 10) == journal.read_between(Interval(), 10) == []
    assert journal.total(0, 1 << 52, ALL) == RangeTotal(0, 0)
    assert (list(journal.coverage()), journal.gaps(), journal.streams()) == ([], [], [])
    assert journal.ended_executions("rule") == {}
    assert journal.append(events(range(1, 4)), "live") == 3
    assert journal.streams() == [("job/1", NOW_MS, NOW_MS + 20, 3)]


def test_covered_ranges_are_joined(journal: Journal) -> None:
    for range_ in ((10, 20), (40, 50), (21, 39), (45, 47)):
        journal.cover(*range_)
    journal.cover(100, 99)
    assert list(journal.coverage()) == [(10, 50)]


def test_gaps_stay_until_they_are_repaired(journal: Journal) -> None:
    later = GapRecord("b", 20, 30, "suspected", "stopped \udc80", 0)
    earlier = GapRecord("a", 10, 15, "unrecoverable", "expired", 0)
    journal.put_gap(later)
    journal.put_gap(earlier)
    assert journal.gaps() == [earlier, later]
    journal.put_gap(GapRecord("b", 20, 30, "repaired", "stopped", 3))
    assert journal.gaps() == [earlier]


def test_retention_removes_only_the_bodies_of_old_events(journal: Journal) -> None:
    logged = events(range(1, 6))
    journal.append(logged, "live")
    size = journal.size_bytes()
    assert journal.retire(before=NOW_MS + 20) == 2
    assert journal.retire(before=NOW_MS + 20) == 0
    rows = journal.read_after(0, 10)
    assert [row.message is None for row in rows] == [True, True, False, False, False]
    assert [row.digest for row in rows] == [_digest(one) for one in logged]
    assert journal.total(NOW_MS, NOW_MS + 99, ALL) == _total(*logged)
    assert journal.find(["1"]) == {
        "1": KnownRow(1, NOW_MS, "job/1", has_body=False, is_lost=False, digest=_digest(logged[0]))
    }
    assert _ids(journal.bodiless(NOW_MS, NOW_MS + 99, 10)) == ["1", "2"]
    assert _ids(journal.bodiless(NOW_MS, NOW_MS + 99, 1)) == ["1"]
    assert journal.bodiless(NOW_MS + 20, NOW_MS + 99, 10) == []
    assert journal.size_bytes() == size - len("line 1line 2")


def test_retention_removes_the_oldest_bodies_while_the_journal_is_too_large(
    journal: Journal,
) -> None:
    journal.append([event(2, NOW_MS + 5), event(1, NOW_MS), event(3, NOW_MS + 9)], "live")
    assert journal.size_bytes() == 3 * ROW_BYTES + 18
    assert journal.retire(bytes_max=3 * ROW_BYTES + 12) == 1
    assert _ids(journal.bodiless(0, 1 << 52, 10)) == ["1"]
    assert journal.retire(bytes_max=3 * ROW_BYTES + 1) == 2
    assert journal.retire(bytes_max=0) == 0


def test_a_call_of_retire_is_bounded(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_journal, "RETIRE_ROWS_MAX", 3)
    monkeypatch.setattr(sqlite, "RETIRE_ROWS_MAX", 3)
    journal.append(events(range(1, 6)), "live")
    assert [journal.retire(before=1 << 52) for _ in range(3)] == [3, 2, 0]


def test_bodies_are_restored(journal: Journal) -> None:
    logged = events(range(1, 4))
    journal.append(logged, "live")
    journal.retire(before=1 << 52)
    assert journal.restore({"1": "line 1", "3": "line 3 \udc80", "9": "nobody's"}) == 2
    assert journal.restore({"1": "again"}) == 0
    assert [row.message for row in journal.read_after(0, 9)] == ["line 1", None, "line 3 \udc80"]
    assert _ids(journal.bodiless(0, 1 << 52, 9)) == ["2"]
    assert journal.find(["1"])["1"].has_body
    assert journal.retire(before=1 << 52) == 2


def test_late_events_behind_retention_are_retired_in_turn(journal: Journal) -> None:
    journal.append([event(5, NOW_MS + 50)], "live")
    journal.retire(before=NOW_MS + 100)
    journal.append([event(1, NOW_MS), event(6, NOW_MS + 60)], "repair")
    assert [row.message for row in journal.read_after(1, 9)] == ["line 1", "line 6"]
    assert journal.retire(before=NOW_MS + 10) == 1
    assert _ids(journal.bodiless(0, 1 << 52, 9)) == ["1", "5"]
    assert journal.retire(before=NOW_MS + 100) == 1


def test_lost_rows_are_not_counted_until_they_are_found_again(journal: Journal) -> None:
    logged = events(range(1, 5), step_ms=5_000)
    journal.append(logged, "live")
    journal.retire(before=NOW_MS + 10_001)
    revision = journal.revision
    assert journal.mark_lost(["1", "3", "4", "9"], "the log stream was deleted") == 2
    assert journal.mark_lost(["1"], "again") == 0
    assert journal.revision != revision
    assert journal.total(0, 1 << 52, ALL) == _total(logged[1], logged[3])
    assert journal.total(0, 1 << 52, ALL, seq=2) == _total(logged[1])
    assert _ids(journal.bodiless(0, 1 << 52, 9)) == ["2"]
    assert journal.find(["1", "2"]) == {
        "1": KnownRow(1, NOW_MS, "job/1", has_body=False, is_lost=True, digest=_digest(logged[0])),
        "2": KnownRow(
            2, NOW_MS + 5_000, "job/1", has_body=False, is_lost=False, digest=_digest(logged[1])
        ),
    }
    assert journal.lost(0, 1 << 52, ALL) == [
        Lost(from_=NOW_MS, through=NOW_MS, reason="the log stream was deleted"),
        Lost(from_=NOW_MS + 10_000, through=NOW_MS + 10_000, reason="the log stream was deleted"),
    ]
    assert journal.lost(0, 1 << 52, Filter(streams=("other",))) == []
    revision = journal.revision
    assert journal.restore({"1": "line 1"}) == 1
    assert journal.revision != revision
    assert journal.total(0, 1 << 52, ALL) == _total(logged[0], logged[1], logged[3])
    assert not journal.find(["1"])["1"].is_lost


def test_streams_and_ended_executions(journal: Journal) -> None:
    journal.append([event(1), event(2, NOW_MS - 5), event(3, NOW_MS + 5, "job/2")], "live")
    journal.append([event(4, NOW_MS + 9)], "live")
    assert journal.streams() == [
        ("job/1", NOW_MS - 5, NOW_MS + 9, 3),
        ("job/2", NOW_MS + 5, NOW_MS + 5, 1),
    ]
    journal.put_ended("1", "UNKNOWN", "pattern:done")
    journal.put_ended("1", "FAILED", "pattern:done")
    journal.put_ended("2", "STOPPED", "idle:5")
    assert journal.ended_executions("pattern:done") == {"1": "FAILED"}
    journal.put_ended("1", None, "pattern:done")
    assert journal.ended_executions("pattern:done") == {}
    assert journal.ended_executions("idle:5") == {"2": "STOPPED"}


def test_ten_thousand_events_of_one_millisecond_are_read_in_slices(journal: Journal) -> None:
    journal.append([event(number) for number in range(10_000, 0, -1)], "live")
    low, seen = None, []
    while rows := journal.read_between(Interval(low, None), 999):
        seen += [int(row.id) for row in rows]
        low = key_of(rows[-1].timestamp, rows[-1].id) + 1
    assert seen == list(range(1, 10_001))


def test_epochs_are_unique() -> None:
    assert len({new_epoch() for _ in range(1_000)}) == 1_000


def test_a_cursor_of_an_epoch_is_resumable_up_to_the_next_epoch() -> None:
    made = epochs()
    chain = (
        Chain(make=lambda: next(made))
        .restarted()
        .with_new_epoch(101)
        .with_new_epoch(101)
        .with_new_epoch(201)
    )
    assert chain.epoch == "epoch-4"
    assert chain.is_resumable("epoch-1", 0, 250)
    assert chain.is_resumable("epoch-1", 100, 250)
    assert not chain.is_resumable("epoch-1", 101, 250)
    assert chain.is_resumable("epoch-2", 100, 250)
    assert not chain.is_resumable("epoch-2", 101, 250)
    assert chain.is_resumable("epoch-3", 200, 250)
    assert not chain.is_resumable("epoch-3", 201, 250)


def test_a_cursor_of_the_present_epoch_is_resumable_up_to_the_head() -> None:
    chain = Chain(make=lambda: "now").restarted()
    assert chain.is_resumable("now", 7, 7)
    assert not chain.is_resumable("now", 8, 7)
    assert not chain.is_resumable("other", 0, 7)


def test_the_oldest_epochs_are_forgotten_beyond_the_bound() -> None:
    made = epochs()
    chain = Chain(make=lambda: next(made)).restarted()
    for _ in range(EPOCHS_MAX):
        chain = chain.with_new_epoch(1)
    assert len(chain.links) == EPOCHS_MAX
    assert not chain.is_resumable("epoch-1", 0, 0)
    assert chain.is_resumable("epoch-2", 0, 0)


def test_losses_that_adjoin_and_have_one_reason_are_one_range() -> None:
    losses = [(5_000, "deleted"), (1_000, "deleted"), (1_900, "deleted"), (2_000, "expired")]
    assert lost_ranges(losses) == [
        Lost(from_=1_000, through=1_900, reason="deleted"),
        Lost(from_=2_000, through=2_000, reason="expired"),
        Lost(from_=5_000, through=5_000, reason="deleted"),
    ]


def test_no_losses_give_no_range() -> None:
    assert lost_ranges([]) == []


def test_too_many_ranges_are_joined_and_still_contain_every_loss() -> None:
    # Farther and farther apart, so that the first ones are the nearest.
    times = [1_000 * number * (number + 3) // 2 for number in range(500)]
    ranges = lost_ranges((time, "deleted") for time in times)
    assert len(ranges) <= LOST_RANGES_MAX
    assert len(ranges) > LOST_RANGES_MAX // 2
    assert all(any(one.from_ <= time <= one.through for one in ranges) for time in times)
    assert (ranges[-1].from_, ranges[-1].through) == (times[-1], times[-1])
