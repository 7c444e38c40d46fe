from __future__ import annotations

from forwarder.reconciler import (
    CATCH_UP_MAX_MS,
    DEEP_EVERY_MS,
    DEEP_SHARE,
    DEEP_SPAN_MAX_MS,
    RECENT_EVERY_MS,
    RECENT_SPAN_MS,
    RETRY_MAX_MS,
    Due,
    Schedule,
    TierName,
)
from tests.support.log_events import NOW_MS

OVERLAP_MS = 5_000


def _run(schedule: Schedule, now_ms: int, took_ms: int = 0) -> list[TierName]:
    """Run what is due, each scan whole after the same time."""
    tiers = [due.tier for due in schedule.due(now_ms)]
    for tier in tiers:
        schedule.started(tier, now_ms)
    for tier in tiers:
        schedule.finished(tier, now_ms + took_ms)
    return tiers


def _of(schedule: Schedule, tier: TierName, now_ms: int) -> Due | None:
    return next((due for due in schedule.due(now_ms) if due.tier == tier), None)


def test_the_first_poll_begins_a_little_before_the_start() -> None:
    schedule = Schedule(NOW_MS)
    assert schedule.due(NOW_MS) == [Due("live", "live", NOW_MS - OVERLAP_MS, None)]


def test_after_a_restart_the_first_poll_begins_before_what_was_covered() -> None:
    schedule = Schedule(NOW_MS, NOW_MS - 600_000)
    [due] = schedule.due(NOW_MS)
    assert due.from_ == NOW_MS - 600_000 - RECENT_SPAN_MS
    assert Schedule(NOW_MS, NOW_MS + 9_999).due(NOW_MS)[0].from_ == NOW_MS - RECENT_SPAN_MS


def test_a_long_absence_is_left_to_backfill() -> None:
    schedule = Schedule(NOW_MS, NOW_MS - CATCH_UP_MAX_MS - 1)
    assert schedule.due(NOW_MS)[0].from_ == NOW_MS - OVERLAP_MS


def test_polls_follow_each_other_each_from_the_begin_of_the_last_whole_one() -> None:
    schedule = Schedule(NOW_MS)
    assert _run(schedule, NOW_MS, 300) == ["live"]
    assert schedule.due(NOW_MS + 999) == []
    assert schedule.next_ms == NOW_MS + 1_000
    assert _of(schedule, "live", NOW_MS + 1_000) == Due("live", "live", NOW_MS - OVERLAP_MS, None)
    schedule.started("live", NOW_MS + 1_000)
    assert schedule.due(NOW_MS + 5_000) == []
    schedule.finished("live", NOW_MS + 5_000)
    assert _of(schedule, "live", NOW_MS + 5_000) == Due(
        "live", "live", NOW_MS + 1_000 - OVERLAP_MS, None
    )


def test_a_poll_that_fails_is_tried_again_more_and_more_slowly_and_covers_the_same() -> None:
    schedule = Schedule(NOW_MS)
    tried = []
    for now_ms in range(NOW_MS, NOW_MS + 45_000, 500):
        due = _of(schedule, "live", now_ms)
        if due is not None:
            assert due.from_ == NOW_MS - OVERLAP_MS
            schedule.started("live", now_ms)
            schedule.failed("live", now_ms)
            tried.append(now_ms - NOW_MS)
    assert tried == [0, 2_000, 6_000, 14_000, 24_000, 34_000, 44_000]
    assert tried[-1] - tried[-2] == RETRY_MAX_MS
    schedule.started("live", NOW_MS + 50_000)
    schedule.finished("live", NOW_MS + 50_000)
    due = _of(schedule, "live", NOW_MS + 51_000)
    assert due == Due("live", "live", NOW_MS + 50_000 - OVERLAP_MS, None)


def test_the_recent_past_is_scanned_every_ten_seconds() -> None:
    schedule = Schedule(NOW_MS)
    times = [
        now_ms - NOW_MS
        for now_ms in range(NOW_MS, NOW_MS + 35_000, 500)
        if "recent" in _run(schedule, now_ms)
    ]
    assert times == [10_000, 20_000, 30_000]
    due = _of(schedule, "recent", NOW_MS + 40_000)
    assert due == Due("recent", "repair", NOW_MS + 40_000 - RECENT_SPAN_MS, NOW_MS + 40_000)


def test_the_whole_past_of_viewers_is_scanned_while_there_are_any() -> None:
    schedule = Schedule(NOW_MS)
    since = NOW_MS - 7_200_000
    assert _of(schedule, "deep", NOW_MS + 90_000) is None
    schedule.want(since, NOW_MS + 90_000)
    schedule.want(since - 5, NOW_MS + 95_000)
    assert _of(schedule, "deep", NOW_MS + 90_000 + DEEP_EVERY_MS - 1) is None
    due = _of(schedule, "deep", NOW_MS + 90_000 + DEEP_EVERY_MS)
    assert due == Due("deep", "repair", since - 5, NOW_MS + 90_000 + DEEP_EVERY_MS)
    schedule.want(None, NOW_MS + 300_000)
    assert _of(schedule, "deep", NOW_MS + 300_000) is None


def test_what_an_earlier_run_left_is_proved_at_once_and_only_once() -> None:
    schedule = Schedule(NOW_MS, NOW_MS - 60_000)
    since = NOW_MS - 600_000
    schedule.want(since, NOW_MS)
    assert _of(schedule, "deep", NOW_MS) == Due("deep", "repair", since, NOW_MS)
    schedule.started("deep", NOW_MS)
    schedule.finished("deep", NOW_MS + 100)
    schedule.want(None, NOW_MS + 60_000)
    schedule.want(since, NOW_MS + 60_000)
    assert _of(schedule, "deep", NOW_MS + 60_000) is None
    schedule.want(since - 1, NOW_MS + 60_000)
    assert _of(schedule, "deep", NOW_MS + 60_000) is not None


def test_what_no_earlier_run_had_is_not_scanned_twice() -> None:
    schedule = Schedule(NOW_MS, NOW_MS - 60_000)
    schedule.want(NOW_MS - 30_000, NOW_MS)
    assert _of(schedule, "deep", NOW_MS) is None


def test_the_deep_scan_goes_back_two_weeks_at_most() -> None:
    schedule = Schedule(NOW_MS)
    schedule.want(0, NOW_MS)
    now_ms = NOW_MS + DEEP_EVERY_MS
    due = _of(schedule, "deep", now_ms)
    assert due is not None
    assert due.from_ == now_ms - DEEP_SPAN_MAX_MS


def test_a_deep_scan_that_takes_long_rests_long() -> None:
    schedule = Schedule(NOW_MS)
    schedule.want(NOW_MS - 9_999, NOW_MS)
    begun = NOW_MS + DEEP_EVERY_MS
    schedule.started("deep", begun)
    schedule.finished("deep", begun + 10_000)
    assert _of(schedule, "deep", begun + DEEP_SHARE * 10_000 - 1) is None
    assert _of(schedule, "deep", begun + DEEP_SHARE * 10_000) is not None


def test_a_viewer_of_the_future_needs_no_deep_scan() -> None:
    schedule = Schedule(NOW_MS)
    schedule.want(NOW_MS + 999_999, NOW_MS)
    assert _of(schedule, "deep", NOW_MS + DEEP_EVERY_MS) is None


def test_an_execution_that_waits_for_its_end_is_scanned_soon() -> None:
    schedule = Schedule(NOW_MS)
    assert _of(schedule, "drain", NOW_MS) is None
    schedule.want_drain((NOW_MS - 60_000, NOW_MS + 5_000))
    assert _of(schedule, "drain", NOW_MS) == Due("drain", "repair", NOW_MS - 60_000, NOW_MS)
    assert _run(schedule, NOW_MS, 100) == ["live", "drain"]
    assert _of(schedule, "drain", NOW_MS + 2_499) is None
    assert _of(schedule, "drain", NOW_MS + 2_500) is not None
    schedule.want_drain((NOW_MS + 9_000, NOW_MS + 9_000))
    assert _of(schedule, "drain", NOW_MS + 2_500) is None
    schedule.want_drain(None)
    assert _of(schedule, "drain", NOW_MS + 2_500) is None


def test_a_hint_makes_a_poll_due_unless_polls_are_failing() -> None:
    schedule = Schedule(NOW_MS)
    _run(schedule, NOW_MS)
    schedule.hint(NOW_MS + 100)
    assert _of(schedule, "live", NOW_MS + 100) is not None
    schedule.started("live", NOW_MS + 100)
    schedule.failed("live", NOW_MS + 100)
    schedule.hint(NOW_MS + 200)
    assert _of(schedule, "live", NOW_MS + 200) is None


def test_a_clock_set_back_neither_stops_the_scans_nor_leaves_a_hole() -> None:
    schedule = Schedule(NOW_MS)
    _run(schedule, NOW_MS)
    schedule.started("live", NOW_MS + 1_000)
    back = NOW_MS - 3_600_000
    assert schedule.due(back) == []
    schedule.finished("live", back + 100)
    [live] = [due for due in schedule.due(back + 1_100) if due.tier == "live"]
    assert live.from_ <= back - OVERLAP_MS
    assert schedule.next_ms <= back + 1_100 + 10_000
    assert _of(schedule, "recent", back + RECENT_EVERY_MS) is not None


def test_a_clock_set_forward_does_not_skip_what_lies_between() -> None:
    schedule = Schedule(NOW_MS)
    _run(schedule, NOW_MS)
    due = _of(schedule, "live", NOW_MS + 3_600_000)
    assert due == Due("live", "live", NOW_MS - OVERLAP_MS, None)


def test_times_before_1970_are_not_asked_for() -> None:
    assert [due.from_ for due in Schedule(1_000).due(1_000)] == [0]
