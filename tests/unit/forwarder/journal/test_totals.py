from __future__ import annotations

import pytest

from forwarder.journal import totals
from forwarder.journal.totals import Totals
from forwarder.records import RangeTotal
from tests.support.forwarder.log_events import GROUP, NOW_MS, event, events
from tests.support.forwarder.memory_journal import MemoryJournal
from wire.query import Filter


class _Counted(MemoryJournal):
    """A journal that counts the rows that it has to sum up."""

    asked = 0

    def total(
        self, from_: int, through: int, wanted: Filter, *, base: int = 0, seq: int | None = None
    ) -> RangeTotal:
        found = super().total(from_, through, wanted, base=base, seq=seq)
        self.asked += found.count
        return found


def test_a_range_that_moves_on_reads_only_its_ends() -> None:
    journal = _Counted(GROUP)
    journal.append(events(range(1, 1_001), step_ms=100), "live")
    kept = Totals(journal)
    whole = kept.total(NOW_MS, NOW_MS + 99_999, Filter())
    assert whole.count == 1_000
    journal.asked = 0
    for moved in range(0, 10_000, 500):
        assert kept.total(NOW_MS + moved, NOW_MS + 90_000 + moved, Filter()).count > 890
    assert journal.asked <= 20 * (2 * 10) + 640


def test_appended_rows_are_added_to_cached_blocks() -> None:
    journal = _Counted(GROUP)
    journal.append(events(range(1, 101)), "live")
    kept = Totals(journal)
    from_, through = NOW_MS - NOW_MS % 1_000, NOW_MS - NOW_MS % 1_000 + 9_999
    kept.total(from_, through, Filter())
    journal.asked = 0
    journal.append([event(101, NOW_MS + 5)], "repair")
    assert kept.total(from_, through, Filter()).count == 101
    assert kept.total(from_, through, Filter(), seq=100).count == 100
    assert journal.asked == 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "BLOCKS_MAX", 20)
    monkeypatch.setattr(totals, "TAIL_MAX", 50)
    journal = MemoryJournal(GROUP)
    kept = Totals(journal)
    for number in range(1, 500):
        journal.append([event(number, NOW_MS + 1_000 * number)], "live")
        assert kept.total(NOW_MS, NOW_MS + 1_000 * number, Filter()).count == number
    filters = [Filter(streams=(f"job/{number}",)) for number in range(totals.FILTERS_MAX + 9)]
    for wanted in filters:
        kept.total(NOW_MS, NOW_MS + 1_000, wanted)
    assert len(kept._filters) == totals.FILTERS_MAX
    assert len(kept._answers) <= totals.ANSWERS_MAX
    assert len(kept._tail._timestamps) <= 100
    assert all(len(blocks) <= 20 for one in kept._filters.values() for blocks in one._blocks)


def test_time_without_events_is_neither_asked_for_nor_remembered() -> None:
    journal = _Counted(GROUP)
    journal.append(events(range(1, 11)), "live")
    kept = Totals(journal)
    for passed in range(0, 3_600_000, 1_700):
        since = NOW_MS + passed - 900_000
        found = kept.total(since, since + 1_800_000, Filter())
        assert found.count == 10 * (since <= NOW_MS)
    assert sum(len(blocks) for one in kept._filters.values() for blocks in one._blocks) <= 2
    assert len(kept._answers) <= 2
    journal.append([event(11, NOW_MS - 7_000), event(12, NOW_MS + 7_000)], "repair")
    assert kept.total(NOW_MS - 9_000, NOW_MS + 9_000, Filter()).count == 12
    assert kept.total(NOW_MS - 9_000, NOW_MS + 9_000, Filter(), seq=11).count == 11
