"""Polls of quiet log groups, and scans that ride on polls."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from forwarder.ingest.log_group import LogGroup
from forwarder.reconcile.page_room import (
    EVENT_CHARS,
    RETRY_FIRST_MS,
    RETRY_MAX_MS,
    ROOM_CHARS,
    ROOM_EVENTS,
    PageRoom,
)
from forwarder.reconcile.schedule import (
    IDLE_AFTER_MS,
    IDLE_POLL_MS,
    NEAR_SPAN_MS,
    RECENT_SPAN_MS,
    RIDE_WAIT_MS,
    ScanSchedule,
    TierName,
    poll_interval,
)
from forwarder.records import LogEvent
from tests.support.forwarder.log_events import NOW_MS
from tests.support.forwarder.memory_journal import MemoryJournal

MINUTE = 60_000
STEP_MS = 100


def riding(span_ms: int) -> ScanSchedule:
    """A schedule of which the last ``span_ms`` fit into a page."""
    return ScanSchedule(NOW_MS, NOW_MS, fits=lambda from_, _, wall_ms: from_ >= wall_ms - span_ms)


def calls(
    schedule: ScanSchedule,
    begin_ms: int,
    for_ms: int,
    *,
    news: bool = False,
    throttled: bool = False,
) -> list[tuple[int, TierName, int]]:
    """Run a time in which each scan takes 50 ms: (when, tier, how far back) of each."""
    made: list[tuple[int, TierName, int]] = []
    for at_ms in range(begin_ms, begin_ms + for_ms, STEP_MS):
        if news:
            schedule.note_news(at_ms)
        if throttled:
            schedule.record_throttling(at_ms)
        for due in schedule.due(at_ms, at_ms):
            schedule.start(due, at_ms, at_ms)
            schedule.finish(due.tier, at_ms + 50)
            made.append((at_ms - NOW_MS, due.tier, at_ms - due.from_))
    return made


def test_the_interval_grows_smoothly_from_one_second_to_its_longest() -> None:
    values = [poll_interval(1_000, quiet_ms) for quiet_ms in range(0, 2 * IDLE_AFTER_MS, 1_000)]
    assert values[0] == 1_000
    assert values[IDLE_AFTER_MS // 1_000] == values[-1] == IDLE_POLL_MS
    assert all(0 <= after - before <= 10 for before, after in pairwise(values))
    assert poll_interval(1_000, -5) == 1_000  # a timer never goes back; be safe all the same
    assert poll_interval(7_000, IDLE_AFTER_MS) == 7_000


def test_an_idle_log_group_takes_at_most_twenty_calls_a_minute_rescans_included() -> None:
    schedule = riding(NEAR_SPAN_MS)
    schedule.set_since(NOW_MS, NOW_MS)
    schedule.set_covered_from(NOW_MS - 10 * MINUTE)
    calls(schedule, NOW_MS, IDLE_AFTER_MS)
    made = calls(schedule, NOW_MS + IDLE_AFTER_MS, 10 * MINUTE)
    assert len(made) <= 10 * 20
    waits = [after - before for (before, *_), (after, *_) in pairwise(made)]
    assert max(waits) <= IDLE_POLL_MS + STEP_MS


@pytest.mark.parametrize("what", ["event", "hint"])
def test_an_event_or_a_hint_makes_polls_frequent_again(what: str) -> None:
    schedule = riding(NEAR_SPAN_MS)
    calls(schedule, NOW_MS, IDLE_AFTER_MS + MINUTE)
    at_ms = NOW_MS + IDLE_AFTER_MS + MINUTE
    if what == "hint":
        schedule.poll_now(at_ms)
    else:
        schedule.note_news(at_ms)
    polls = [at for at, *_ in calls(schedule, at_ms, 10_000)]
    assert len(polls) >= 8


def test_two_minutes_that_fit_into_a_poll_need_no_call_of_their_own() -> None:
    made = calls(riding(RECENT_SPAN_MS), NOW_MS, 5 * MINUTE, news=True)
    assert {tier for _, tier, _ in made} == {"live"}
    whole = [at for at, _, back_ms in made if back_ms >= RECENT_SPAN_MS]
    assert all(after - before <= 10_000 for before, after in pairwise(whole))
    assert len(whole) < len(made) / 5  # the others stay short


def test_fifteen_minutes_that_fit_into_a_poll_need_no_call_of_their_own() -> None:
    schedule = riding(NEAR_SPAN_MS)
    schedule.set_covered_from(NOW_MS - 10 * NEAR_SPAN_MS)
    made = calls(schedule, NOW_MS, 5 * MINUTE, news=True)
    assert {tier for _, tier, _ in made} == {"live"}
    whole = [at for at, _, back_ms in made if back_ms >= NEAR_SPAN_MS]
    assert all(after - before <= MINUTE for before, after in pairwise(whole))


def test_what_does_not_fit_is_scanned_separately() -> None:
    schedule = riding(RECENT_SPAN_MS)
    schedule.set_covered_from(NOW_MS - 10 * NEAR_SPAN_MS)
    made = calls(schedule, NOW_MS, 5 * MINUTE, news=True)
    assert Counter(tier for _, tier, _ in made).keys() == {"live", "near"}
    assert calls(riding(0), NOW_MS, MINUTE)[-1][1] == "live"
    assert "recent" in {tier for _, tier, _ in calls(riding(0), NOW_MS, MINUTE)}


def test_throttling_does_not_stretch_what_rides() -> None:
    made = calls(riding(RECENT_SPAN_MS), NOW_MS, 5 * MINUTE, news=True, throttled=True)
    assert {tier for _, tier, _ in made} == {"live"}
    whole = [at for at, _, back_ms in made if back_ms >= RECENT_SPAN_MS]
    assert all(after - before <= 12_000 for before, after in pairwise(whole))


def test_a_due_scan_waits_for_a_running_poll_but_not_for_ever() -> None:
    schedule = riding(RECENT_SPAN_MS)
    [poll] = schedule.due(NOW_MS, NOW_MS)
    schedule.start(poll, NOW_MS, NOW_MS)
    at_ms = NOW_MS + 15_000
    assert schedule.due(at_ms, at_ms) == []
    assert schedule.next_ms == NOW_MS + RIDE_WAIT_MS
    at_ms = NOW_MS + RIDE_WAIT_MS
    assert [due.tier for due in schedule.due(at_ms, at_ms)] == ["recent"]


def test_a_poll_that_had_to_wait_for_its_turn_reads_what_is_due_by_then() -> None:
    schedule = riding(RECENT_SPAN_MS)
    [poll] = schedule.due(NOW_MS, NOW_MS)
    assert not poll.is_extended
    schedule.start(poll, NOW_MS, NOW_MS)
    at_ms = NOW_MS + 12_000
    aimed = schedule.aim_poll(at_ms, at_ms)
    assert (aimed.from_, aimed.is_extended) == (at_ms - RECENT_SPAN_MS, True)
    schedule.finish("live", at_ms + 100)
    assert schedule.next_ms == at_ms + 1_000
    assert [due.tier for due in schedule.due(at_ms + 5_000, at_ms + 5_000)] == ["live"]


def test_nothing_rides_while_polls_fail() -> None:
    schedule = riding(RECENT_SPAN_MS)
    for number in range(6):
        at_ms = NOW_MS + number * 10_000
        for due in schedule.due(at_ms, at_ms):
            assert not due.is_extended or number == 0
            schedule.start(due, at_ms, at_ms)
            schedule.fail(due.tier, at_ms)
    tiers = {due.tier for due in schedule.due(NOW_MS + 70_000, NOW_MS + 70_000)}
    assert tiers == {"live", "recent"}


# What fits


def group_with(count: int, chars: int = 10) -> LogGroup:
    """A log group with this many events in the last minute, whose last hour is covered."""
    group = LogGroup(MemoryJournal("group"))
    scan = group.begin_scan("repair", NOW_MS - 60 * MINUTE, NOW_MS, NOW_MS)
    for start in range(0, count, 1_000):
        scan.take_page(events(start, min(1_000, count - start), chars))
    group.finish_scan(scan, NOW_MS)
    return group


def events(start: int, count: int, chars: int) -> list[LogEvent]:
    return [
        LogEvent(str(number + 1), NOW_MS - number % MINUTE, NOW_MS, "s", "x" * chars)
        for number in range(start, start + count)
    ]


def test_a_range_fits_by_the_number_of_its_events() -> None:
    back_ms = NOW_MS - RECENT_SPAN_MS
    assert PageRoom(group_with(ROOM_EVENTS)).fits(back_ms, 0, NOW_MS) == (
        ROOM_EVENTS * EVENT_CHARS <= ROOM_CHARS
    )
    assert PageRoom(group_with(1_000)).fits(back_ms, 0, NOW_MS)
    assert not PageRoom(group_with(ROOM_EVENTS + 1)).fits(back_ms, 0, NOW_MS)


def test_a_range_fits_by_the_size_of_its_events() -> None:
    room, back_ms = PageRoom(group_with(1_000)), NOW_MS - RECENT_SPAN_MS
    room.note_page(events(0, 10, ROOM_CHARS // 1_000))
    assert not room.fits(back_ms, 0, NOW_MS)
    for _ in range(100):
        room.note_page([])
        room.note_page(events(0, 10, 20))
    assert room.fits(back_ms, 0, NOW_MS)


def test_a_range_that_the_journal_does_not_know_does_not_fit() -> None:
    room = PageRoom(group_with(10))
    assert room.fits(NOW_MS - 60 * MINUTE, 0, NOW_MS)
    assert not room.fits(NOW_MS - 60 * MINUTE - 1, 0, NOW_MS)
    assert not PageRoom(LogGroup(MemoryJournal("group"))).fits(NOW_MS - 1, 0, NOW_MS)


def test_after_polls_of_several_pages_it_waits_longer_and_longer() -> None:
    room, back_ms, at_ms = PageRoom(group_with(10)), NOW_MS - MINUTE, 0
    pauses = []
    for _ in range(7):
        room.note_poll(2, at_ms)
        pauses.append(
            next(ms for ms in range(0, 10**8, 1_000) if room.fits(back_ms, at_ms + ms, NOW_MS))
        )
        at_ms += pauses[-1]
    assert pauses[:2] == [RETRY_FIRST_MS, 2 * RETRY_FIRST_MS]
    assert pauses[-1] == RETRY_MAX_MS
    room.note_poll(1, at_ms)
    room.note_poll(2, at_ms)
    assert room.fits(back_ms, at_ms + RETRY_FIRST_MS, NOW_MS)
