from __future__ import annotations

import pytest

from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.scan import SeqSet
from forwarder.journal.totals import Totals
from forwarder.records import RangeTotal
from tests.support.forwarder.log_events import GROUP, NOW_MS, event
from tests.support.forwarder.memory_journal import MemoryJournal
from tests.support.forwarder.scans import run_scan
from wire.limits import TIMESTAMP_MAX
from wire.query import Filter


def test_a_set_of_seqs() -> None:
    seqs = SeqSet()
    assert len(seqs) == 0
    assert 1 not in seqs
    seqs.add_all([1, 2, 70_000, 2, 1 << 40])
    seqs.add_all([1])
    assert len(seqs) == 4
    assert [one in seqs for one in (1, 2, 3, 70_000, 70_001, 1 << 40)] == [
        True, True, False, True, False, True,
    ]  # fmt: skip


def test_what_a_scan_covers_ends_with_its_begin_at_the_latest() -> None:
    group = LogGroup(MemoryJournal(GROUP))
    open_end = group.begin_scan("live", 5, None, NOW_MS)
    assert (open_end.top, open_end.covered) == (TIMESTAMP_MAX, NOW_MS)
    past = group.begin_scan("backfill", 5, 50, NOW_MS)
    assert (past.top, past.covered, past.number) == (50, 50, 2)
    ahead = group.begin_scan("repair", 5, NOW_MS + 5, NOW_MS)
    assert ahead.covered == NOW_MS


def test_a_scan_that_has_ended_takes_no_more_pages() -> None:
    group = LogGroup(MemoryJournal(GROUP))
    scan = group.begin_scan("live", 5, None, NOW_MS)
    group.finish_scan(scan, NOW_MS)
    with pytest.raises(AssertionError, match="takes no page"):
        scan.take_page([event(1)])


@pytest.fixture
def group() -> LogGroup:
    return LogGroup(MemoryJournal(GROUP))


def test_a_scan_with_an_open_end_must_return_events_ahead_of_the_clock(group: LogGroup) -> None:
    ahead = event(9, NOW_MS + 6_600_000)
    assert run_scan(group, [event(1), ahead], NOW_MS + 9_000, kind="live") is not None
    assert run_scan(group, [event(1)], NOW_MS + 10_000, kind="live") is None
    assert run_scan(group, [event(1)], NOW_MS + 10_000, through=NOW_MS + 10_000) is not None


def test_a_scan_that_lacks_known_events_completes_nothing(group: LogGroup) -> None:
    logged = [event(1), event(2, NOW_MS + 1, "job/2"), event(3, NOW_MS + 2)]
    assert run_scan(group, logged, NOW_MS + 9_000) is not None
    assert run_scan(group, [logged[0], logged[2]], NOW_MS + 10_000) is None
    assert group.take_suspect_streams() == {"job/2"}
    assert group.take_suspect_streams() == set()
    assert run_scan(group, logged, NOW_MS + 11_000) is not None


def test_events_of_a_deleted_log_stream_may_be_missing(group: LogGroup) -> None:
    logged = [event(1), event(2, NOW_MS + 1, "job/2")]
    run_scan(group, logged, NOW_MS + 9_000)
    assert run_scan(group, [logged[0]], NOW_MS + 10_000) is None
    group.mark_stream_deleted("job/2")
    assert run_scan(group, [logged[0]], NOW_MS + 11_000) is not None
    again = event(3, NOW_MS + 2, "job/2")
    assert run_scan(group, [logged[0], again], NOW_MS + 12_000) is not None
    assert run_scan(group, [logged[0]], NOW_MS + 13_000) is None


def test_events_older_than_the_retention_setting_may_be_missing(group: LogGroup) -> None:
    logged = [event(1), event(2, NOW_MS + 5_000)]
    run_scan(group, logged, NOW_MS + 9_000)
    assert run_scan(group, [logged[1]], NOW_MS + 10_000) is None
    group._expiry.retention_ms = 6_000
    assert run_scan(group, [logged[1]], NOW_MS + 10_000) is not None
    assert run_scan(group, [], NOW_MS + 10_000) is None


def test_log_streams_deleted_long_ago_cost_a_scan_of_the_present_nothing(
    group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    day_ms = 86_400_000
    old = [event(one, NOW_MS - day_ms, f"job/{one}") for one in range(1, 50)]
    run_scan(group, old, NOW_MS, NOW_MS - day_ms)
    for one in old:
        group.mark_stream_deleted(one.stream)
    asked: list[object] = []
    total = Totals.total

    def counted(self: Totals, from_: int, through: int, wanted: Filter, **also: int) -> RangeTotal:
        asked.append(wanted)
        return total(self, from_, through, wanted, **also)

    monkeypatch.setattr(Totals, "total", counted)
    new = event(99, NOW_MS + 1, "job/99")
    run_scan(group, [new], NOW_MS + 9_000)
    assert run_scan(group, [new], NOW_MS + 10_000) is not None
    assert asked == [Filter(), Filter()]
    assert run_scan(group, [new], NOW_MS + 11_000, NOW_MS - day_ms) is not None
    assert len(asked) > 3
