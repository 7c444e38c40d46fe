from __future__ import annotations

from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.scan import Ingested, Scan
from forwarder.ingest.visibility import BUCKET_MS, BUCKETS_MAX, VisibilityAllowance
from tests.support.forwarder.log_events import GROUP, NOW_MS, event
from tests.support.forwarder.memory_journal import MemoryJournal
from tests.support.forwarder.scans import run_scan

OVERLAP_MS = 5_000


def _scan(begun_ms: int) -> Scan:
    return Scan(
        "live",
        0,
        None,
        begun_ms=begun_ms,
        number=1,
        head_seq=0,
        take=lambda _scan, _events, _ends: Ingested(0, 0, 0, 0),
        set_aside=lambda _scan, _events: None,
    )


def _allowance(*polls: int) -> VisibilityAllowance:
    made = VisibilityAllowance(2_000, 60_000, OVERLAP_MS)
    for begun_ms in polls:
        made.note_poll(begun_ms)
    return made


def test_without_delays_the_allowance_is_the_least() -> None:
    one = _allowance(0, 10_000)
    one.learn(9_900, 10_100, _scan(11_000))  # after the last poll: no poll had looked there
    assert one.at(11_000) == 2_000


def test_an_observed_delay_is_allowed_for_with_a_margin() -> None:
    one = _allowance(0, 10_000)
    one.learn(4_900, 5_000, _scan(12_000))
    assert one.at(12_000) == 8_000
    one.learn(8_900, 9_000, _scan(12_000))  # a shorter one
    assert one.at(12_000) == 8_000


def test_a_delay_is_forgotten_after_a_while() -> None:
    one = _allowance(0, 10_000)
    one.learn(4_900, 5_000, _scan(12_000))
    assert one.at((BUCKETS_MAX - 1) * BUCKET_MS) == 8_000
    assert one.at(BUCKETS_MAX * BUCKET_MS) == 2_000


def test_a_delay_beyond_the_bound_is_ignored() -> None:
    one = _allowance(0, 100_000)
    one.learn(100, 100, _scan(100_000))
    assert one.at(100_000) == 2_000
    one.learn(40_200, 40_200, _scan(100_000))
    assert one.at(100_000) == 60_000


def test_an_event_that_was_old_when_written_was_not_invisible() -> None:
    one = _allowance(0, 20_000)
    one.learn(1_000, 10_000, _scan(20_000))  # older than the time that polls read
    one.learn(-100, -10, _scan(20_000))  # before this process
    one.learn(9_000, None, _scan(20_000))  # unknown
    assert one.at(20_000) == 2_000


def test_a_fixed_allowance_learns_nothing() -> None:
    one = VisibilityAllowance(3_000, 0, OVERLAP_MS)
    one.note_poll(0)
    one.note_poll(10_000)
    one.learn(1_000, 1_000, _scan(12_000))
    assert one.at(12_000) == 3_000


def test_a_clock_set_back_forgets_future_delays() -> None:
    one = _allowance(0, 10_000_000)
    one.learn(9_995_000, 9_995_000, _scan(10_000_000))
    assert one.at(10_000_000) == 6_000
    assert one.at(5_000_000) == 2_000


def test_marks_end_where_late_events_may_still_become_visible() -> None:
    group = LogGroup(MemoryJournal(GROUP), allowance_max_ms=60_000)
    run_scan(group, [], NOW_MS, NOW_MS - 5_000, kind="live")
    run_scan(group, [], NOW_MS + 10_000, NOW_MS - 5_000, kind="live")
    hidden = event(1, NOW_MS + 4_000, ingestion_time=NOW_MS + 4_000)
    done = run_scan(group, [hidden], NOW_MS + 11_000, NOW_MS - 5_000, kind="live")
    assert group.allowance_ms == 8_000
    assert done is not None
    assert done.through == NOW_MS + 3_000
