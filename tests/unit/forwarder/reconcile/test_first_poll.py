"""The first poll of a new log group, which may also read its history."""

from __future__ import annotations

from forwarder.cloudwatch.fair_queue import Priority
from forwarder.ingest.log_group import LogGroup
from forwarder.reconcile.demand import BackfillRequest
from forwarder.reconcile.page_room import ROOM_CHARS, PageRoom
from forwarder.reconcile.schedule import ScanSchedule
from tests.support.forwarder.feed_rig import GROUP, FeedRig
from tests.support.forwarder.log_events import NOW_MS
from tests.support.forwarder.memory_journal import MemoryJournal

HOUR = 3_600_000


def test_a_trial_reaches_back_and_a_given_up_one_is_repeated_without() -> None:
    schedule = ScanSchedule(NOW_MS, NOW_MS)
    [due] = schedule.due(NOW_MS, NOW_MS)
    schedule.start(due, NOW_MS, NOW_MS)
    schedule.set_trial(NOW_MS - HOUR)
    trial = schedule.aim_poll(NOW_MS + 5, NOW_MS + 5)
    assert (trial.from_, trial.is_trial) == (NOW_MS - HOUR, True)
    schedule.give_up_poll(NOW_MS + 60)
    schedule.set_trial(None)
    [again] = schedule.due(NOW_MS + 61, NOW_MS + 61)
    assert not again.is_trial
    assert again.from_ == due.from_


def test_a_trial_is_worth_a_call_unless_the_log_group_is_large() -> None:
    room = PageRoom(LogGroup(MemoryJournal(GROUP)))
    assert room.may_fit(HOUR, None, 0)
    assert room.may_fit(HOUR, 10, 0)
    assert not room.may_fit(HOUR, 10 * ROOM_CHARS, 0)
    assert not room.may_fit(HOUR, 10 * ROOM_CHARS, 9 * HOUR)
    assert room.may_fit(HOUR, 10 * ROOM_CHARS, 11 * HOUR)


async def test_one_call_reads_present_and_history_of_a_small_log_group() -> None:
    rig = FeedRig()
    rig.cloudwatch.put("s", (rig.now_ms - HOUR // 2, "old"), (rig.now_ms - 1, "new"))
    rig.feed.request_backfill("viewer", BackfillRequest(rig.now_ms - HOUR))
    rig.feed._maintenance.settings_tried.set()
    async with rig.run():
        await rig.until(lambda: len(rig.messages()) == 2)
        assert rig.missing(rig.now_ms - HOUR) == []
        assert not rig.has_asked(Priority.BACKFILL)
        assert rig.cloudwatch.asked[0][1] == rig.now_ms - HOUR
    assert dict(rig.group.counts.events) == {"backfill": 1, "live": 1}


async def test_history_of_more_than_a_page_leaves_the_present_first() -> None:
    rig = FeedRig()
    rig.cloudwatch.page_events = 3
    old = [(rig.now_ms - HOUR // 2 + number, f"old {number}") for number in range(7)]
    rig.cloudwatch.put("s", *old, (rig.now_ms - 1, "new"))
    rig.feed.request_backfill("viewer", BackfillRequest(rig.now_ms - HOUR))
    rig.feed._maintenance.settings_tried.set()
    async with rig.run():
        begins = [from_ for _, from_, _ in rig.cloudwatch.asked]
        assert begins[0] == rig.now_ms - HOUR < begins[1]
        await rig.until(lambda: not rig.missing(rig.now_ms - HOUR))
        await rig.until(lambda: len(rig.messages()) == 8)
        assert rig.has_asked(Priority.BACKFILL)
