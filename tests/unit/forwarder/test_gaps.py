from __future__ import annotations

import pytest

from forwarder.ingest import LogGroup
from forwarder.journal.memory import MemoryJournal
from forwarder.records import GapRecord, ScanDone
from tests.support.log_events import GROUP, NOW_MS, event
from tests.support.scanning import scanned


@pytest.fixture
def group() -> LogGroup:
    return LogGroup(MemoryJournal(GROUP))


def test_gaps_that_are_declared_are_repaired_by_a_scan_that_begins_later(group: LogGroup) -> None:
    before = group.begin_scan("repair", NOW_MS, None, NOW_MS + 9_000)
    gap = group.declare_gap(NOW_MS + 10, NOW_MS + 20, "suspected", "the live path stopped")
    lost = group.declare_gap(NOW_MS + 12, NOW_MS + 15, "unrecoverable", "expired")
    assert group.take_notices() == [gap, lost]
    group.finish_scan(before, NOW_MS + 9_000)
    assert [one.state for one in group.journal.gaps()] == ["suspected", "unrecoverable"]
    repairing = group.change_gap(gap.id, "repairing")
    assert repairing is not None
    assert repairing.state == "repairing"
    assert group.change_gap("unheard of", "repairing") is None
    group.take_notices()
    scanned(group, [event(1, NOW_MS + 15)], NOW_MS + 10_000)
    recovered, repaired, done = group.take_notices()
    assert isinstance(recovered, GapRecord)
    assert isinstance(repaired, GapRecord)
    assert isinstance(done, ScanDone)
    assert (recovered.id, recovered.recovered) == (gap.id, 1)
    assert (repaired.id, repaired.state, repaired.recovered) == (gap.id, "repaired", 1)
    assert group.journal.gaps() == [lost]


def test_a_scan_of_part_of_a_gap_repairs_nothing(group: LogGroup) -> None:
    group.declare_gap(NOW_MS, NOW_MS + 20_000, "suspected", "the live path stopped")
    scanned(group, [], NOW_MS + 9_000)
    scanned(group, [], NOW_MS + 99_000, NOW_MS + 1)
    assert [one.state for one in group.journal.gaps()] == ["suspected"]
    scanned(group, [], NOW_MS + 99_000)
    assert group.journal.gaps() == []
