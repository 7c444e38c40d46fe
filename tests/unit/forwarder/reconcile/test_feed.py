"""A feed's polls, backfill and retries; outages and the state of CloudWatch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest

from forwarder.cloudwatch.fair_queue import Priority
from forwarder.config import ALLOWANCE_MS, OVERLAP_MS
from forwarder.errors import (
    AccessDeniedError,
    ClockWrongError,
    CloudWatchError,
    CredentialsExpiredError,
    ForwarderError,
    GroupNotFoundError,
    InvalidEventError,
    JournalError,
    JournalFullError,
    ScanStuckError,
    ThrottledError,
    UnreachableError,
)
from forwarder.reconcile import page_room
from forwarder.reconcile.demand import BackfillRequest
from forwarder.reconcile.feed import (
    DELAYED,
    OUTAGE_AFTER_MS,
    OUTAGE_EXTEND_MS,
    QUEUED,
    STALE,
    STALE_MS,
    OutageWatch,
    UpstreamWatch,
)
from forwarder.reconcile.schedule import REST_MAX_MS
from forwarder.records import LogEvent
from tests.support.forwarder.feed_rig import GROUP, FeedRig
from tests.support.forwarder.memory_journal import MemoryJournal
from tests.support.processes.gapless_processes import WAIT_MS
from wire.limits import UPSTREAM_SHOWN_MS
from wire.messages import Origin, Upstream

HOUR = 3_600_000


async def test_polls_bring_what_is_new() -> None:
    rig = FeedRig()
    rig.cloudwatch.put("s", (rig.now_ms - 100, "before"))
    async with rig.run():
        assert rig.messages() == ["before"]
        rig.cloudwatch.put("s", (rig.now_ms + 10, "after"), (rig.now_ms + 10, "after"))
        await rig.pass_ms(1_000)
        assert rig.messages() == ["before", "after", "after"]
        assert rig.feed.upstream.state == "ok"
        assert rig.feed.problem is None


async def test_a_filtered_feed_has_and_marks_the_matching_events_alone() -> None:
    rig = FeedRig(MemoryJournal(GROUP, pattern="ERROR"))
    rig.cloudwatch.put("s", (rig.now_ms - 100, "ERROR before"), (rig.now_ms - 100, "before"))
    async with rig.run():
        rig.cloudwatch.put("s", (rig.now_ms + 10, "after"), (rig.now_ms + 20, "an ERROR after"))
        await rig.pass_ms(10_000)
        assert rig.messages() == ["ERROR before", "an ERROR after"]
        assert rig.marks()
        assert rig.gaps() == []
        rig.cloudwatch.put("s", (rig.now_ms - 60_000, "late"), (rig.now_ms - 60_000, "late ERROR"))
        await rig.pass_ms(10_000)
        assert rig.messages()[2:] == ["late ERROR"]


async def test_an_event_stamped_ahead_moves_nothing() -> None:
    rig = FeedRig()
    async with rig.run():
        rig.cloudwatch.put("s", (rig.now_ms + 110 * 60_000, "ahead"))
        await rig.pass_ms(1_000)
        rig.cloudwatch.put("s", (rig.now_ms, "now"))
        await rig.pass_ms(1_000)
        assert rig.messages() == ["ahead", "now"]


async def test_late_events_are_found_by_the_next_scan() -> None:
    rig = FeedRig()
    async with rig.run():
        await rig.pass_ms(1_000)
        rig.cloudwatch.put("s", (rig.now_ms - 60_000, "late"))
        await rig.pass_ms(1_000)
        assert rig.messages() == []
        await rig.pass_ms(8_000)
        assert rig.messages() == ["late"]
        assert rig.feed.upstream.state == "ok"


async def test_an_old_late_event_is_found_within_minutes_though_scans_take_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page_room, "ROOM_EVENTS", -1)
    rig = FeedRig()
    since = rig.cloudwatch.created = rig.now_ms - 33 * HOUR
    rig.cloudwatch.put("job/1", (since + 1, "old"))
    async with rig.run():
        rig.feed.request_backfill("viewer", BackfillRequest(since))
        await rig.until(lambda: not rig.missing(since))
        gate = rig.cloudwatch.gates[Priority.SCAN] = asyncio.Event()
        rig.clock.now_ms += 60_000
        rig.feed.poll_now()
        deep = rig.feed._schedule._tiers["deep"]
        await rig.until(lambda: deep.running is not None)
        rig.clock.now_ms += 30_000  # a page that takes long
        gate.set()
        await rig.until(lambda: deep.running is None)
        rig.cloudwatch.put("job/1", (since + 2, "33 hours late"))
        await rig.pass_ms(REST_MAX_MS)
        await rig.until(lambda: len(rig.journal.read_after(0, 9)) == 2)


async def test_delayed_visibility_is_shown() -> None:
    rig = FeedRig()
    async with rig.run():
        await rig.pass_ms(1_000)
        hidden = LogEvent("77", rig.now_ms, rig.now_ms, "s", "hidden")
        for _ in range(8):
            await rig.pass_ms(1_000)
        rig.cloudwatch.events.append(hidden)
        await rig.pass_ms(1_000)
        assert rig.messages() == ["hidden"]
        assert rig.feed.upstream.state == "delayed"
        assert rig.feed.upstream.lag_ms == 9_000
        assert [gap.recovered for gap in rig.gaps()] == [1]


async def test_polls_do_not_pile_up() -> None:
    rig = FeedRig()
    async with rig.run():
        gate = rig.cloudwatch.gates[Priority.POLL] = asyncio.Event()
        for _ in range(8):
            rig.clock.now_ms += 1_000
            rig.feed.poll_now()
            for _ in range(10):
                await asyncio.sleep(0)
        polls = [asked for asked in rig.cloudwatch.asked if asked[0] is Priority.POLL]
        assert len(polls) == 2  # the first, and the one that hangs
        assert rig.feed.upstream.state == "delayed"
        del rig.cloudwatch.gates[Priority.POLL]
        gate.set()
        await rig.until(lambda: (rig.feed.upstream.lag_ms or 0) < 10_000)


async def test_a_poll_that_waits_long_for_its_turn_is_no_outage() -> None:
    rig = FeedRig()
    async with rig.run():
        gate = rig.cloudwatch.gates[Priority.POLL] = asyncio.Event()
        rig.cloudwatch.turns.clear()
        rig.clock.now_ms += 2_000
        rig.feed.poll_now()
        await rig.until(lambda: rig.feed._is_queued)
        rig.clock.now_ms += 2 * OUTAGE_AFTER_MS
        assert rig.feed.upstream.reason == QUEUED
        asked = len(rig.cloudwatch.asked)
        rig.cloudwatch.turns.set()
        await rig.until(lambda: len(rig.cloudwatch.asked) > asked)
        rig.feed.poll_now()  # the schedule runs while the poll does
        for _ in range(20):
            await asyncio.sleep(0)
        assert rig.gaps() == []
        rig.clock.now_ms += OUTAGE_AFTER_MS  # now it hangs
        rig.feed.poll_now()
        await rig.until(lambda: bool(rig.gaps()))
        del rig.cloudwatch.gates[Priority.POLL]
        gate.set()
        await rig.until(lambda: rig.feed.upstream.state == "ok")


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (UnreachableError("no way"), "unreachable"),
        (ThrottledError("too many"), "throttled"),
        (GroupNotFoundError("gone"), "unreachable"),
    ],
)
async def test_a_feed_continues_whatever_cloudwatch_does(
    error: CloudWatchError, state: str
) -> None:
    rig = FeedRig()
    async with rig.run():
        await rig.pass_ms(1_000)
        last_whole_ms = rig.now_ms
        rig.cloudwatch.down = error
        rig.clock.now_ms += 1_000
        rig.feed.poll_now()
        await rig.until(lambda: rig.feed.problem is not None)
        assert rig.feed.problem == str(error)
        assert rig.feed.upstream.state == state
        rig.cloudwatch.put("s", (rig.now_ms, "meanwhile"))
        for _ in range(4):
            await rig.try_again()
        rig.cloudwatch.down = None
        await rig.try_again()
        await rig.until(lambda: rig.feed.problem is None)
        polls = [one for one in rig.cloudwatch.asked if one[0] is Priority.POLL]
        assert polls[-6:] == [(Priority.POLL, last_whole_ms - OVERLAP_MS, None)] * 6
        assert rig.messages() == ["meanwhile"]


async def test_requested_history_is_fetched_newest_first() -> None:
    rig = FeedRig()
    rig.cloudwatch.created = rig.now_ms - HOUR
    ages = (HOUR, HOUR // 2, 3 * 60_000, 30_000)
    rig.cloudwatch.put("s", *((rig.now_ms - age, f"{age}") for age in ages))
    async with rig.run():
        assert rig.messages() == []
        rig.feed.request_backfill("viewer", BackfillRequest(rig.now_ms - HOUR))
        await rig.until(lambda: not rig.missing(rig.now_ms - HOUR))
        assert rig.messages() == [f"{age}" for age in reversed(ages)]
        origins = {row.origin for row in rig.journal.read_after(0, 10)}
        assert origins == {"backfill"}
        windows = [one for one in rig.cloudwatch.asked if one[0] is Priority.BACKFILL]
        assert [until for _, _, until in windows] == sorted(
            (until or 0 for _, _, until in windows), reverse=True
        )
        asked = len(windows)
        rig.feed.request_backfill("another viewer", BackfillRequest(rig.now_ms - HOUR // 2))
        await rig.pass_ms(1_000)
        windows = [one for one in rig.cloudwatch.asked if one[0] is Priority.BACKFILL]
        assert len(windows) == asked


async def test_the_past_of_a_group_that_is_young_is_few_calls() -> None:
    rig = FeedRig()
    async with rig.run():
        rig.feed.request_backfill("viewer", BackfillRequest(0))
        await rig.until(lambda: not rig.missing(0))
        assert len([one for one in rig.cloudwatch.asked if one[0] is Priority.BACKFILL]) < 20


async def test_oldest_first() -> None:
    rig = FeedRig()
    rig.cloudwatch.put("s", (rig.now_ms - 60_000, "new"), (rig.now_ms - HOUR, "old"))
    async with rig.run():
        rig.feed.request_backfill("viewer", BackfillRequest(rig.now_ms - HOUR, "oldest"))
        await rig.until(lambda: not rig.missing(rig.now_ms - HOUR))
        assert rig.messages() == ["old", "new"]


async def test_a_withdrawn_backfill_stops() -> None:
    rig = FeedRig()
    rig.cloudwatch.put("s", *((rig.now_ms - 50_000, f"{number}") for number in range(100)))
    rig.cloudwatch.page_events = 1
    gate = rig.cloudwatch.gates[Priority.BACKFILL] = asyncio.Event()
    async with rig.run():
        rig.feed.request_backfill("viewer", BackfillRequest(rig.now_ms - HOUR))
        await rig.until(lambda: rig.has_asked(Priority.BACKFILL))
        rig.feed.withdraw_backfill("viewer")
        gate.set()
        await rig.pass_ms(1_000)
        assert len(rig.messages()) <= 1
        assert rig.missing(rig.now_ms - HOUR)


async def test_lines_written_during_the_backfill_come_at_once_and_once() -> None:
    rig = FeedRig()
    rig.cloudwatch.put("s", *((rig.now_ms - 40_000, f"old {number}") for number in range(20)))
    rig.cloudwatch.page_events = 7
    gate = rig.cloudwatch.gates[Priority.BACKFILL] = asyncio.Event()
    async with rig.run():
        rig.feed.request_backfill("viewer", BackfillRequest(rig.now_ms - HOUR))
        await rig.until(lambda: rig.has_asked(Priority.BACKFILL))
        rig.cloudwatch.put("s", (rig.now_ms, "live"))
        await rig.pass_ms(1_000)
        assert rig.messages() == ["live"]
        gate.set()
        await rig.until(lambda: not rig.missing(rig.now_ms - HOUR))
        assert sorted(map(str, rig.messages())) == sorted(
            ["live", *(f"old {number}" for number in range(20))]
        )


async def test_a_backfill_that_breaks_off_goes_on_later() -> None:
    rig = FeedRig()
    rig.cloudwatch.put("s", (rig.now_ms - 40_000, "old"))
    async with rig.run():
        rig.cloudwatch.down = UnreachableError("no way")
        rig.feed.request_backfill("viewer", BackfillRequest(rig.now_ms - HOUR))
        await rig.until(lambda: rig.has_asked(Priority.BACKFILL))
        assert rig.missing(rig.now_ms - HOUR)
        rig.cloudwatch.down = None
        await rig.until(lambda: not rig.missing(rig.now_ms - HOUR))
        assert rig.messages() == ["old"]


async def test_a_restart_goes_on_where_it_was() -> None:
    first = FeedRig()
    async with first.run():
        await first.pass_ms(1_000)
        ended_ms = first.now_ms
    journal = first.journal.copy()
    journal.begin_epoch()
    second = FeedRig(journal, now_ms=ended_ms + 10 * 60_000)
    second.cloudwatch.put("s", (ended_ms + 60_000, "while it was away"))
    async with second.run():
        assert second.messages() == ["while it was away"]
        assert second.missing(ended_ms - 1_000) == []


async def test_the_loop_stays_free_while_a_page_is_taken_in() -> None:
    rig = FeedRig()
    rig.cloudwatch.put("s", *((rig.now_ms, f"{number}") for number in range(10_000)))
    turns = []

    async def tick() -> None:
        while True:
            turns.append(rig.group.head_seq)
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    async with rig.run():
        await rig.until(lambda: rig.group.head_seq == 10_000)
    ticking.cancel()
    steps = sorted(set(turns))
    assert max(later - sooner for sooner, later in pairwise(steps)) <= 1_000


async def test_a_short_scan_need_not_wait_for_a_long_one() -> None:
    rig = FeedRig()
    rig.cloudwatch.put("s", *((rig.now_ms - 50_000, f"{number}") for number in range(200)))
    rig.cloudwatch.page_events = 1
    async with rig.run():
        rig.feed.request_backfill("viewer", BackfillRequest(rig.now_ms - HOUR))
        await rig.until(lambda: rig.group.head_seq > 0)
        before = rig.group.head_seq
        assert await rig.feed.refetch(rig.now_ms - 10_000, rig.now_ms, rig.now_ms + WAIT_MS)
        rig.cloudwatch.put("t", (rig.now_ms, "live"))
        rig.clock.now_ms += 1_000
        rig.feed.poll_now()
        await rig.until(lambda: "live" in rig.messages())
        assert before < 200


async def test_a_journal_that_can_not_be_written_ends_it_with_its_own_error() -> None:
    class Full(MemoryJournal):
        def append(self, events: Sequence[LogEvent], origin: Origin) -> int:
            msg = f"the disk is full: {len(events)} {origin} events"
            raise JournalError(msg)

    rig = FeedRig(Full(GROUP))
    async with rig.run():
        rig.cloudwatch.put("s", (rig.now_ms, "one"))
        with pytest.raises(JournalError, match="the disk is full"):
            await rig.pass_ms(1_000)


async def test_after_a_full_disk_the_missed_events_arrive(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Full(MemoryJournal):
        has_room = True

        def append(self, events: Sequence[LogEvent], origin: Origin) -> int:
            self._check()
            return super().append(events, origin)

        def cover(self, from_: int, through: int) -> None:
            self._check()
            super().cover(from_, through)

        def _check(self) -> None:
            if not self.has_room:
                msg = "the disk is full: make room"
                raise JournalFullError(msg)

    journal = Full(GROUP)
    rig = FeedRig(journal)
    async with rig.run():
        rig.cloudwatch.put("s", (rig.now_ms, "before"))
        await rig.pass_ms(1_000)
        journal.has_room = False
        marks = len(rig.marks())
        rig.cloudwatch.put("s", (rig.now_ms, "meanwhile"))
        for _ in range(3):
            await rig.try_again()
        await rig.until(lambda: rig.feed.problem is not None)
        assert rig.feed.problem == "the disk is full: make room"
        assert rig.feed.upstream.state == "delayed"
        assert not rig.feed.is_ready
        assert rig.messages() == ["before"]
        assert len(rig.marks()) == marks
        journal.has_room = True
        await rig.try_again()
        await rig.until(lambda: rig.messages() == ["before", "meanwhile"])
        await rig.until(lambda: rig.feed.problem is None)
    said = [one.message for one in caplog.records if one.levelname == "WARNING"]
    assert sum("make room" in one for one in said) == 1
    assert sum("can be written again" in one for one in said) == 1


async def test_a_bug_is_not_taken_for_a_failure_of_cloudwatch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = FeedRig()
    async with rig.run():
        monkeypatch.setattr(rig.group, "executions", None)
        with pytest.raises(ExceptionGroup):
            await rig.pass_ms(1_000)


async def test_time_that_could_not_be_polled_is_a_suspected_gap_until_it_is_fetched() -> None:
    rig = FeedRig()
    async with rig.run():
        await rig.pass_ms(1_000)
        last_whole_ms = rig.now_ms
        rig.cloudwatch.down = UnreachableError("no way")
        for _ in range(5):
            await rig.try_again()
        await rig.until(lambda: len(rig.gaps()) >= 2)
        rig.cloudwatch.put("s", (rig.now_ms - 20_000, "meanwhile"))
        [gap] = rig.journal.gaps()
        assert gap.state == "suspected"
        assert gap.reason == "CloudWatch Logs could not be read: no way"
        assert gap.from_ == last_whole_ms - ALLOWANCE_MS
        assert last_whole_ms + 30_000 < gap.through <= rig.now_ms
        rig.cloudwatch.down = None
        await rig.try_again()
        await rig.until(lambda: not rig.journal.gaps())
        states = [one.state for one in rig.gaps() if one.id == gap.id]
        assert list(dict.fromkeys(states)) == ["suspected", "repairing", "repaired"]
        assert rig.gaps()[-1].recovered == 1
        assert rig.messages() == ["meanwhile"]


async def test_a_short_failure_is_no_gap() -> None:
    rig = FeedRig()
    async with rig.run():
        await rig.pass_ms(1_000)
        rig.cloudwatch.down = UnreachableError("no way")
        await rig.try_again()
        rig.cloudwatch.down = None
        await rig.pass_ms(9_000)
        assert rig.gaps() == []


@pytest.mark.parametrize("by_ms", [-HOUR, HOUR])
async def test_a_clock_that_is_set_stops_nothing_and_asks_for_nothing_twice(by_ms: int) -> None:
    rig = FeedRig()
    rig.cloudwatch.created = rig.now_ms - HOUR
    async with rig.run():
        since = rig.now_ms - 3 * HOUR
        rig.feed.request_backfill("viewer", BackfillRequest(since))
        await rig.until(lambda: not rig.missing(since))
        await rig.pass_ms(1_000)
        rig.set_clock(by_ms)
        before = len(rig.cloudwatch.asked)
        rig.cloudwatch.put("s", (rig.now_ms, "after it was set"))
        for _ in range(5):
            await rig.pass_ms(1_000)
        assert rig.messages() == ["after it was set"]
        assert rig.feed.upstream.state == "ok"
        assert len(rig.cloudwatch.asked) - before < 30


async def test_throttling_makes_scans_rarer() -> None:
    rig = FeedRig()
    async with rig.run():
        rig.cloudwatch.down = ThrottledError("too many")
        for _ in range(3):
            await rig.try_again()
        schedule = rig.feed._schedule
        assert schedule._throttling.level(schedule._timer_ms) > 0


WALL = 1_000_000


def test_a_short_outage_is_not_suspected() -> None:
    outage = OutageWatch(WALL, 0)
    assert outage.next_gap(WALL + OUTAGE_AFTER_MS - 1, OUTAGE_AFTER_MS - 1, 0) is None
    assert not outage.record_poll(WALL + 10_000, 10_000)
    assert outage.next_gap(WALL + OUTAGE_AFTER_MS, OUTAGE_AFTER_MS, 0) is None


def test_a_suspected_gap_grows_while_polls_fail() -> None:
    outage = OutageWatch(WALL, 0)
    outage.record_poll(WALL + 1_000, 1_000)
    at = 1_000 + OUTAGE_AFTER_MS
    assert outage.next_gap(WALL + at, at, 200) == (WALL + 800, WALL + at - 200)
    assert outage.next_gap(WALL + at + 1, at + 1, 200) is None
    at += OUTAGE_EXTEND_MS
    assert outage.next_gap(WALL + at, at, 200) == (WALL + 800, WALL + at - 200)
    assert outage.record_poll(WALL + at, at)
    assert not outage.record_poll(WALL + at + 1, at + 1)


def test_a_clock_set_back_meanwhile_crosses_no_range() -> None:
    outage = OutageWatch(WALL, 0)
    assert outage.next_gap(WALL - 500_000, OUTAGE_AFTER_MS, 0) == (WALL - 500_000, WALL - 500_000)


T = 1_000_000
UPSTREAM_OVERLAP_MS = 5_000
UPSTREAM_ALLOWANCE_MS = 2_000


def watch() -> UpstreamWatch:
    return UpstreamWatch(T, 1_000, UPSTREAM_OVERLAP_MS, UPSTREAM_ALLOWANCE_MS)


def test_lag_is_counted_from_the_begin_of_the_last_whole_poll() -> None:
    one = watch()
    one.record_poll(T + 1_000, T + 1_000)
    assert one.status(T + 1_400) == Upstream("ok", 400)


def test_a_poll_that_hangs_is_shown_as_delay() -> None:
    one = watch()
    one.record_poll(T, T)
    assert one.status(T + STALE_MS).state == "ok"
    assert one.status(T + STALE_MS + 1) == Upstream("delayed", STALE_MS + 1, "delayed", STALE)


def test_slow_polls_are_not_stale_by_their_own_pace() -> None:
    one = UpstreamWatch(T, 10_000, UPSTREAM_OVERLAP_MS, UPSTREAM_ALLOWANCE_MS)
    assert one.status(T + 29_000).state == "ok"


def test_unreachable_until_a_poll_gets_through() -> None:
    one = watch()
    one.record_poll_attempt(UnreachableError("no way"), T)
    assert one.status(T + 100) == Upstream("unreachable", 100, "unreachable", "no way")
    one.record_poll_attempt(None, T + 200)
    assert one.status(T + 200).state == "ok"


def test_a_stuck_scan_is_over_with_a_whole_poll_not_with_a_page() -> None:
    one = watch()
    one.record_poll_attempt(ScanStuckError("tokens repeat"), T)
    one.record_poll_attempt(None, T + 100)
    assert one.status(T + 100).reason == "tokens repeat"
    one.record_poll(T + 200, T + 200)
    assert one.status(T + 200).state == "ok"


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (CredentialsExpiredError("run `aws sso login`"), "unreachable", "credentials_expired"),
        (AccessDeniedError("denied"), "unreachable", "access_denied"),
        (GroupNotFoundError("gone"), "unreachable", "group_missing"),
        (ClockWrongError("set it"), "unreachable", "clock_wrong"),
        (ThrottledError("too many"), "throttled", "throttled"),
        (InvalidEventError("id 'x'"), "unreachable", "unreachable"),
    ],
)
def test_the_state_has_a_code_and_the_reason(error: ForwarderError, state: str, code: str) -> None:
    one = watch()
    one.record_poll_attempt(error, T)
    upstream = one.status(T + 100)
    assert (upstream.state, upstream.code, upstream.reason) == (state, code, str(error))
    one.record_poll(T + UPSTREAM_SHOWN_MS, T + UPSTREAM_SHOWN_MS)
    assert one.status(T + UPSTREAM_SHOWN_MS) == Upstream("ok", 0)


async def test_another_reason_is_reported_though_the_state_is_the_same() -> None:
    rig = FeedRig()
    async with rig.run():
        await rig.pass_ms(1_000)
        for error in (UnreachableError("no way"), CredentialsExpiredError("log in")):
            rig.cloudwatch.down = error
            rig._changed.clear()
            await rig.try_again()
            await rig.until(lambda error=error: rig.feed.upstream.reason == str(error))  # type: ignore[misc] # the error of this round
            assert rig.feed.upstream.code == error.code


def test_scans_do_not_show_whether_cloudwatch_is_reachable() -> None:
    one = watch()
    one.record_scan_attempt(UnreachableError("no way"), T)
    assert one.status(T).state == "ok"
    one.record_poll_attempt(UnreachableError("no way"), T)
    one.record_scan_attempt(None, T)
    assert one.status(T).state == "unreachable"


def test_throttling_by_anything_is_shown_for_a_while() -> None:
    one = watch()
    one.record_scan_attempt(ThrottledError("too many"), T)
    one.record_poll(T + 1, T + 1)
    assert one.status(T + UPSTREAM_SHOWN_MS - 1).state == "throttled"
    one.record_poll(T + UPSTREAM_SHOWN_MS, T + UPSTREAM_SHOWN_MS)
    assert one.status(T + UPSTREAM_SHOWN_MS).state == "ok"


def test_a_wall_clock_that_is_set_changes_no_lag() -> None:
    one = watch()
    one.record_poll(T + 3_600_000, T)
    assert one.status(T + 400) == Upstream("ok", 400)
    one.record_poll(T - 3_600_000, T + 1_000)
    assert one.status(T + 1_400) == Upstream("ok", 400)
    assert one.status(T + 1_000 + STALE_MS + 1).state == "delayed"


def test_an_event_that_polls_should_have_found_was_delayed() -> None:
    one = watch()
    one.record_poll(T, T)
    one.record_poll(T + 10_000, T + 10_000)
    one.record_late_event(T + 1_500, T + 2_000, T + 10_500, T + 10_500)
    assert one.status(T + 10_500) == Upstream("delayed", 8_500, "delayed", DELAYED)
    one.record_poll(T + 10_500 + UPSTREAM_SHOWN_MS, T + 10_500 + UPSTREAM_SHOWN_MS)
    assert one.status(T + 10_500 + UPSTREAM_SHOWN_MS).state == "ok"


def test_the_longest_delay_is_shown() -> None:
    one = watch()
    one.record_poll(T, T)
    one.record_poll(T + 10_000, T + 10_000)
    one.record_late_event(T + 1_500, T + 2_000, T + 10_500, T + 10_500)
    one.record_late_event(T + 5_000, T + 5_000, T + 10_500, T + 10_500)
    assert one.status(T + 10_500).lag_ms == 8_500


def test_late_events_are_no_delay() -> None:
    one = watch()
    one.record_poll(T, T)
    one.record_poll(T + 10_000, T + 10_000)
    one.record_late_event(
        T - 3_600_000, T + 2_000, T + 10_000, T + 10_000
    )  # old when it was written
    one.record_late_event(
        T + 9_000, T + 10_001, T + 14_000, T + 14_000
    )  # written after the last poll
    one.record_late_event(T - 500, T - 400, T + 10_000, T + 10_000)  # before this process
    one.record_late_event(T + 2_000, None, T + 10_000, T + 10_000)  # unknown
    one.record_late_event(T + 9_000, T + 9_000, T + 10_500, T + 10_500)  # within the allowance
    assert one.status(T + 10_000).state == "ok"


def test_calls_without_an_answer_have_a_code_of_their_own_until_they_fail() -> None:
    one = watch()
    one.record_poll(T, T)
    silence = "CloudWatch Logs has not answered for 3 s"
    assert one.status(T + 3_000, silence) == Upstream("unreachable", 3_000, "unanswered", silence)
    one.record_poll_attempt(UnreachableError("timed out"), T + 15_000)
    assert one.status(T + 16_000, silence).code == "unreachable"
    one.record_poll(T + 17_000, T + 17_000)
    assert one.status(T + 17_000).state == "ok"


async def test_a_silence_is_reported_while_the_poll_still_runs() -> None:
    rig = FeedRig()
    async with rig.run():
        gate = rig.cloudwatch.gates[Priority.POLL] = asyncio.Event()
        await rig.try_again()
        rig.cloudwatch.answers.begin(rig.timer())
        rig.clock.now_ms += 3_000
        rig.feed._schedule_changed.set()  # time alone would do the same, later
        await rig.until(lambda: rig.feed._upstream_reported == ("unreachable", "unanswered"))
        assert "has not answered for 3 s" in rig.feed.upstream.reason
        gate.set()
