"""Range and interval of each tier; the timer starts at ``NOW_MS`` unless a clock is set."""

from __future__ import annotations

import pytest

from forwarder.reconcile import schedule as schedule_module
from forwarder.reconcile.schedule import (
    CATCH_UP_MAX_MS,
    DEEP_EVERY_MS,
    DEEP_SHARE,
    EASE_MS,
    FAR_EVERY_MS,
    FAR_SPAN_MS,
    LEVEL_MAX,
    NEAR_EVERY_MS,
    NEAR_SPAN_MS,
    RAISE_MS,
    RECENT_EVERY_MS,
    RECENT_SPAN_MS,
    REST_MAX_MS,
    RETRY_MAX_MS,
    WIDE_EVERY_MS,
    WIDE_SPAN_MS,
    DueScan,
    ScanSchedule,
    ThrottleLevel,
    TierName,
    rest_after,
)
from tests.support.forwarder.log_events import NOW_MS

OVERLAP_MS = 5_000


@pytest.fixture(autouse=True)
def without_quiet_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll every second however quiet it is; test_riding has the rest."""
    monkeypatch.setattr(schedule_module, "IDLE_POLL_MS", 0)


def _schedule(covered_ms: int | None = None) -> ScanSchedule:
    return ScanSchedule(NOW_MS, NOW_MS, covered_ms)


def _run(schedule: ScanSchedule, now_ms: int, took_ms: int = 0) -> list[TierName]:
    """Run the due scans; each is complete after the same time."""
    dues = schedule.due(now_ms, now_ms)
    for due in dues:
        schedule.start(due, now_ms, now_ms)
    for due in dues:
        schedule.finish(due.tier, now_ms + took_ms)
    return [due.tier for due in dues]


def _of(schedule: ScanSchedule, tier: TierName, now_ms: int) -> DueScan | None:
    return next((due for due in schedule.due(now_ms, now_ms) if due.tier == tier), None)


def _start(schedule: ScanSchedule, tier: TierName, now_ms: int) -> None:
    due = _of(schedule, tier, now_ms)
    assert due is not None
    schedule.start(due, now_ms, now_ms)


def test_the_first_poll_begins_a_little_before_the_start() -> None:
    schedule = _schedule()
    assert schedule.due(NOW_MS, NOW_MS) == [DueScan("live", "live", NOW_MS - OVERLAP_MS, None)]


def test_after_a_restart_the_first_poll_begins_before_what_was_covered() -> None:
    schedule = _schedule(NOW_MS - 600_000)
    [due] = schedule.due(NOW_MS, NOW_MS)
    assert due.from_ == NOW_MS - 600_000 - RECENT_SPAN_MS
    assert _schedule(NOW_MS + 9_999).due(NOW_MS, NOW_MS)[0].from_ == NOW_MS - RECENT_SPAN_MS


def test_a_long_absence_is_left_to_backfill() -> None:
    schedule = _schedule(NOW_MS - CATCH_UP_MAX_MS - 1)
    assert schedule.due(NOW_MS, NOW_MS)[0].from_ == NOW_MS - OVERLAP_MS


def test_polls_follow_each_other_each_from_the_begin_of_the_last_whole_one() -> None:
    schedule = _schedule()
    assert _run(schedule, NOW_MS, 300) == ["live"]
    assert schedule.due(NOW_MS + 999, NOW_MS + 999) == []
    assert schedule.next_ms == NOW_MS + 1_000
    assert _of(schedule, "live", NOW_MS + 1_000) == DueScan(
        "live", "live", NOW_MS - OVERLAP_MS, None
    )
    _start(schedule, "live", NOW_MS + 1_000)
    assert schedule.due(NOW_MS + 5_000, NOW_MS + 5_000) == []
    schedule.finish("live", NOW_MS + 5_000)
    assert _of(schedule, "live", NOW_MS + 5_000) == DueScan(
        "live", "live", NOW_MS + 1_000 - OVERLAP_MS, None
    )


def test_a_poll_that_fails_is_tried_again_more_and_more_slowly_and_covers_the_same() -> None:
    schedule = _schedule()
    tried = []
    for now_ms in range(NOW_MS, NOW_MS + 45_000, 500):
        due = _of(schedule, "live", now_ms)
        if due is not None:
            assert due.from_ == NOW_MS - OVERLAP_MS
            _start(schedule, "live", now_ms)
            schedule.fail("live", now_ms)
            tried.append(now_ms - NOW_MS)
    assert tried == [0, 2_000, 6_000, 14_000, 24_000, 34_000, 44_000]
    assert tried[-1] - tried[-2] == RETRY_MAX_MS
    _start(schedule, "live", NOW_MS + 54_000)
    schedule.finish("live", NOW_MS + 54_000)
    due = _of(schedule, "live", NOW_MS + 55_000)
    assert due == DueScan("live", "live", NOW_MS + 54_000 - OVERLAP_MS, None)


def test_the_recent_past_is_scanned_every_ten_seconds() -> None:
    schedule = _schedule()
    times = [
        now_ms - NOW_MS
        for now_ms in range(NOW_MS, NOW_MS + 35_000, 500)
        if "recent" in _run(schedule, now_ms)
    ]
    assert times == [10_000, 20_000, 30_000]
    due = _of(schedule, "recent", NOW_MS + 40_000)
    assert due == DueScan("recent", "repair", NOW_MS + 40_000 - RECENT_SPAN_MS, NOW_MS + 40_000)


def test_the_whole_past_of_viewers_is_scanned_while_there_are_any() -> None:
    schedule = _schedule()
    since = NOW_MS - 7_200_000
    assert _of(schedule, "deep", NOW_MS + 90_000) is None
    schedule.set_since(since, NOW_MS + 90_000)
    schedule.set_since(since - 5, NOW_MS + 95_000)
    assert _of(schedule, "deep", NOW_MS + 90_000 + DEEP_EVERY_MS - 1) is None
    due = _of(schedule, "deep", NOW_MS + 90_000 + DEEP_EVERY_MS)
    assert due == DueScan("deep", "repair", since - 5, NOW_MS + 90_000 + DEEP_EVERY_MS)
    schedule.set_since(None, NOW_MS + 300_000)
    assert _of(schedule, "deep", NOW_MS + 300_000) is None


def test_events_of_an_earlier_process_are_proved_at_once_and_only_once() -> None:
    schedule = _schedule(NOW_MS - 60_000)
    since = NOW_MS - 600_000
    schedule.set_since(since, NOW_MS)
    assert _of(schedule, "deep", NOW_MS) == DueScan("deep", "repair", since, NOW_MS)
    _start(schedule, "deep", NOW_MS)
    schedule.finish("deep", NOW_MS + 100)
    schedule.set_since(None, NOW_MS + 60_000)
    schedule.set_since(since, NOW_MS + 60_000)
    assert _of(schedule, "deep", NOW_MS + 60_000) is None
    schedule.set_since(since - 1, NOW_MS + 60_000)
    assert _of(schedule, "deep", NOW_MS + 60_000) is not None


def test_new_history_is_not_scanned_twice() -> None:
    schedule = _schedule(NOW_MS - 60_000)
    schedule.set_since(NOW_MS - 30_000, NOW_MS)
    assert _of(schedule, "deep", NOW_MS) is None


def test_the_deep_scan_goes_back_two_weeks_at_most() -> None:
    schedule = _schedule()
    schedule.set_since(0, NOW_MS)
    now_ms = NOW_MS + DEEP_EVERY_MS
    due = _of(schedule, "deep", now_ms)
    assert due is not None
    assert due.from_ == now_ms - FAR_SPAN_MS


def test_old_events_of_an_earlier_process_are_proved_once() -> None:
    since = NOW_MS - 3 * FAR_SPAN_MS
    schedule = _schedule(NOW_MS - 60_000)
    schedule.set_since(since, NOW_MS)
    now_ms = NOW_MS
    for proved in (False, True):
        assert _of(schedule, "deep", now_ms) == DueScan("deep", "repair", since, now_ms)
        _start(schedule, "deep", now_ms)
        schedule.finish("deep", now_ms, proved=proved)
        now_ms += DEEP_EVERY_MS
    assert _of(schedule, "deep", now_ms) == DueScan("deep", "repair", now_ms - FAR_SPAN_MS, now_ms)
    schedule.set_since(since - 1, now_ms)
    assert _of(schedule, "deep", now_ms) == DueScan("deep", "repair", since - 1, now_ms)


def test_a_deep_scan_that_takes_long_rests_long() -> None:
    schedule = _schedule()
    schedule.set_since(NOW_MS - 9_999, NOW_MS)
    begun = NOW_MS + DEEP_EVERY_MS
    _start(schedule, "deep", begun)
    schedule.finish("deep", begun + 10_000)
    assert _of(schedule, "deep", begun + DEEP_SHARE * 10_000 - 1) is None
    assert _of(schedule, "deep", begun + DEEP_SHARE * 10_000) is not None


def test_a_long_scan_of_few_calls_rests_no_longer_than_a_few_minutes() -> None:
    schedule = _schedule()
    schedule.set_since(NOW_MS - 9_999, NOW_MS)
    begun = NOW_MS + DEEP_EVERY_MS
    _start(schedule, "deep", begun)
    schedule.finish("deep", begun + 60_000, calls_ms=3_600)
    assert _of(schedule, "deep", begun + REST_MAX_MS - 1) is None
    assert _of(schedule, "deep", begun + REST_MAX_MS) is not None


@pytest.mark.parametrize(
    ("took_ms", "calls_ms", "rest_ms"),
    [
        (1_000, 3_600, 20_000),
        (30_000, 3_600, REST_MAX_MS),
        (30_000, None, 600_000),
        (30_000, 20_000, 400_000),
        (30_000, 90_000, 600_000),  # many log groups share the calls: as by the time alone
    ],
)
def test_the_rest_is_by_the_time_and_beyond_some_minutes_by_the_calls(
    took_ms: int, calls_ms: int | None, rest_ms: int
) -> None:
    assert rest_after(20, took_ms, calls_ms) == rest_ms


def test_a_viewer_of_the_future_needs_no_deep_scan() -> None:
    schedule = _schedule()
    schedule.set_since(NOW_MS + 999_999, NOW_MS)
    assert _of(schedule, "deep", NOW_MS + DEEP_EVERY_MS) is None


def test_an_execution_that_waits_for_its_end_is_scanned_soon() -> None:
    schedule = _schedule()
    assert _of(schedule, "drain", NOW_MS) is None
    schedule.set_drain_range((NOW_MS - 60_000, NOW_MS + 5_000))
    assert _of(schedule, "drain", NOW_MS) == DueScan("drain", "repair", NOW_MS - 60_000, NOW_MS)
    assert _run(schedule, NOW_MS, 100) == ["live", "drain"]
    assert _of(schedule, "drain", NOW_MS + 2_499) is None
    assert _of(schedule, "drain", NOW_MS + 2_500) is not None
    schedule.set_drain_range((NOW_MS + 9_000, NOW_MS + 9_000))
    assert _of(schedule, "drain", NOW_MS + 2_500) is None
    schedule.set_drain_range(None)
    assert _of(schedule, "drain", NOW_MS + 2_500) is None


def test_a_hint_makes_a_poll_due_unless_polls_are_failing() -> None:
    schedule = _schedule()
    _run(schedule, NOW_MS)
    schedule.poll_now(NOW_MS + 100)
    assert _of(schedule, "live", NOW_MS + 100) is not None
    _start(schedule, "live", NOW_MS + 100)
    schedule.fail("live", NOW_MS + 100)
    schedule.poll_now(NOW_MS + 200)
    assert _of(schedule, "live", NOW_MS + 200) is None


def _passing(schedule: ScanSchedule, for_ms: int, step_ms: int = 500) -> dict[TierName, list[int]]:
    """Time passes, every scan at once whole: when each tier ran, from the start on."""
    ran: dict[TierName, list[int]] = {}
    for now_ms in range(NOW_MS, NOW_MS + for_ms + 1, step_ms):
        for tier in _run(schedule, now_ms):
            ran.setdefault(tier, []).append(now_ms - NOW_MS)
    return ran


def test_the_covered_past_is_scanned_less_and_less_often() -> None:
    schedule = _schedule()
    schedule.set_covered_from(NOW_MS - FAR_SPAN_MS)
    ran = _passing(schedule, 2 * FAR_EVERY_MS, 5_000)
    assert ran["near"][:3] == [NEAR_EVERY_MS, 2 * NEAR_EVERY_MS, 3 * NEAR_EVERY_MS]
    assert ran["wide"][:3] == [WIDE_EVERY_MS, 2 * WIDE_EVERY_MS, 3 * WIDE_EVERY_MS]
    assert "far" not in ran  # no viewers
    assert "deep" not in ran


def test_two_weeks_are_scanned_every_hour_while_a_viewer_is_connected() -> None:
    schedule = _schedule()
    schedule.set_covered_from(NOW_MS - 2 * FAR_SPAN_MS)
    schedule.set_since(NOW_MS, NOW_MS)
    ran = _passing(schedule, 2 * FAR_EVERY_MS, 5_000)
    assert ran["far"] == [FAR_EVERY_MS, 2 * FAR_EVERY_MS]
    now_ms = NOW_MS + 3 * FAR_EVERY_MS
    assert _of(schedule, "far", now_ms) == DueScan("far", "repair", now_ms - FAR_SPAN_MS, now_ms)


def test_a_rescan_goes_back_no_further_than_the_requested_history() -> None:
    schedule = _schedule()
    now_ms = NOW_MS + 2 * FAR_EVERY_MS
    schedule.start(DueScan("live", "live", NOW_MS, None), now_ms, now_ms)
    schedule.finish("live", now_ms)
    now_ms += RECENT_EVERY_MS
    assert {due.tier for due in schedule.due(now_ms, now_ms)} == {"live", "recent"}
    schedule.set_covered_from(now_ms - RECENT_SPAN_MS - 5)
    near = _of(schedule, "near", now_ms)
    assert near == DueScan("near", "repair", now_ms - RECENT_SPAN_MS - 5, now_ms)
    assert _of(schedule, "wide", now_ms) is None  # the tier near scans its range
    schedule.set_since(now_ms - NEAR_SPAN_MS - 7, now_ms)
    wide = _of(schedule, "wide", now_ms)
    assert wide == DueScan("wide", "repair", now_ms - NEAR_SPAN_MS - 7, now_ms)
    schedule.set_since(0, now_ms)
    wide = _of(schedule, "wide", now_ms)
    assert wide == DueScan("wide", "repair", now_ms - WIDE_SPAN_MS, now_ms)


def test_a_scan_counts_for_every_tier_whose_range_it_covered() -> None:
    schedule = _schedule()
    schedule.set_since(NOW_MS - NEAR_SPAN_MS, NOW_MS)
    ran = _passing(schedule, 10 * NEAR_EVERY_MS)
    assert "near" not in ran  # the deep tier is quicker, and covers the same
    assert len(ran["deep"]) == 20
    between = [at for at in ran["recent"] if at not in ran["deep"]]
    assert between[:4] == [10_000, 20_000, 40_000, 50_000]


def test_each_tier_keeps_to_its_share_of_the_time() -> None:
    schedule = _schedule()
    schedule.set_since(NOW_MS - FAR_SPAN_MS, NOW_MS)
    begun: dict[TierName, int] = {}
    worked: dict[TierName, int] = {}
    span_ms = 24 * 3_600_000
    for now_ms in range(NOW_MS, NOW_MS + span_ms, 10_000):
        for tier, at_ms in list(begun.items()):
            if now_ms - at_ms >= 60_000:
                schedule.finish(tier, now_ms)
                worked[tier] = worked.get(tier, 0) + now_ms - at_ms
                del begun[tier]
        for due in schedule.due(now_ms, now_ms):
            schedule.start(due, now_ms, now_ms)
            begun[due.tier] = now_ms
    shares: dict[TierName, float] = {
        "recent": 1 / 2,
        "near": 1 / 4,
        "wide": 1 / 10,
        "far": 1 / 20,
        "deep": 1 / 20,
    }
    assert worked.keys() >= {"recent", "near", "deep"}
    for tier, share in shares.items():
        assert worked.get(tier, 0) <= share * span_ms + 60_000, tier


def test_throttling_stretches_scans_first_and_polls_last() -> None:
    calm, throttled = _schedule(), _schedule()
    for one in (calm, throttled):
        one.set_covered_from(NOW_MS - FAR_SPAN_MS)
    for now_ms in range(NOW_MS, NOW_MS + 60_001, 500):
        _run(calm, now_ms)
        throttled.record_throttling(now_ms)
        _run(throttled, now_ms)
    assert throttled._throttling.level(throttled._timer_ms) == 4
    ran: dict[TierName, int] = {"live": 0, "recent": 0, "near": 0}
    for now_ms in range(NOW_MS + 60_500, NOW_MS + 1_020_001, 500):
        throttled.record_throttling(now_ms)
        for tier in _run(throttled, now_ms):
            ran[tier] += 1
    assert ran == {"live": 480, "recent": 48, "near": 1}


def test_without_throttling_scans_come_as_often_again() -> None:
    schedule = _schedule()
    for now_ms in range(NOW_MS, NOW_MS + 60_000, 500):
        schedule.record_throttling(now_ms)
    ran = _passing(schedule, 600_000)
    assert schedule._throttling.level(schedule._timer_ms) == 0
    late = [at for at in ran["recent"] if at > 300_000]
    assert late == list(range(late[0], 600_001, RECENT_EVERY_MS))


def test_a_failed_scan_of_a_rare_tier_is_retried_soon() -> None:
    schedule = _schedule()
    schedule.set_covered_from(NOW_MS - FAR_SPAN_MS)
    tried = []
    for now_ms in range(NOW_MS, NOW_MS + 2 * WIDE_EVERY_MS, 500):
        if _of(schedule, "wide", now_ms) is not None:
            _start(schedule, "wide", now_ms)
            schedule.fail("wide", now_ms)
            tried.append(now_ms - NOW_MS - WIDE_EVERY_MS)
    assert tried == [0, 10_000, 30_000, 70_000, 150_000, 310_000]


def test_scans_of_a_drain_are_apart_by_the_allowance() -> None:
    schedule = _schedule()
    schedule.set_drain_range((NOW_MS, NOW_MS))
    schedule.set_allowance(20_000)
    assert _passing(schedule, 60_000)["drain"] == [20_500, 41_000]  # the first rode on a poll


def test_a_clock_set_back_neither_stops_the_scans_nor_leaves_a_hole() -> None:
    schedule = _schedule()
    _run(schedule, NOW_MS)
    _start(schedule, "live", NOW_MS + 1_000)
    hour = 3_600_000
    dues = schedule.due(NOW_MS + 1_200, NOW_MS + 1_200 - hour)
    assert dues == []  # the poll is running
    schedule.finish("live", NOW_MS + 1_300)
    [live] = [
        due for due in schedule.due(NOW_MS + 2_000, NOW_MS + 2_000 - hour) if due.tier == "live"
    ]
    assert live.from_ <= NOW_MS + 1_000 - hour - OVERLAP_MS
    assert live.from_ <= NOW_MS + 2_000 - hour - RECENT_SPAN_MS  # the tier ``recent`` rides
    assert schedule.next_ms <= NOW_MS + 2_000


def test_a_clock_set_forward_does_not_skip_what_lies_between() -> None:
    schedule = _schedule()
    _run(schedule, NOW_MS)
    [live] = schedule.due(NOW_MS + 10, NOW_MS + 3_600_000)  # which covers ``recent`` as well
    assert live == DueScan("live", "live", NOW_MS - OVERLAP_MS, None)


def test_times_before_1970_are_not_asked_for() -> None:
    assert [due.from_ for due in ScanSchedule(0, 1_000).due(0, 1_000)] == [0]


def test_without_throttling_nothing_gives_way() -> None:
    throttling = ThrottleLevel()
    assert [
        throttling.level(10**9),
        throttling.stretch("near", 10**9),
        throttling.stretch("live", 0),
    ] == [
        0,
        1,
        1,
    ]


def test_each_throttling_raises_the_level_by_one_up_to_its_maximum() -> None:
    throttling = ThrottleLevel()
    throttling.record_throttling(0)
    throttling.record_throttling(RAISE_MS - 1)
    assert (throttling.level(RAISE_MS - 1), throttling.stretch("near", RAISE_MS - 1)) == (1, 2)
    for number in range(1, 20):
        throttling.record_throttling(number * RAISE_MS)
    now = 20 * RAISE_MS
    assert throttling.level(now) == LEVEL_MAX
    assert (throttling.stretch("near", now), throttling.stretch("live", now)) == (16, 2)
    assert throttling.stretch("recent", now) == 2


def test_the_throttling_level_falls_by_one_at_a_time() -> None:
    throttling = ThrottleLevel()
    for number in range(3):
        throttling.record_throttling(number * RAISE_MS)
    last = 2 * RAISE_MS
    levels = [throttling.level(last + number * EASE_MS) for number in range(5)]
    assert levels == [3, 2, 1, 0, 0]
    throttling.record_throttling(last + 2 * EASE_MS)
    assert throttling.level(last + 2 * EASE_MS) == 2
