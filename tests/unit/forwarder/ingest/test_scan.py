from __future__ import annotations

import pytest

from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.scan import SeqSet
from tests.support.log_events import GROUP, NOW_MS, event
from tests.support.memory_journal import MemoryJournal
from wire.limits import TIMESTAMP_MAX


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
        scan.page([event(1)])
