"""Deleted log streams, the log group's settings, and retention."""

from __future__ import annotations

import asyncio

import pytest

from forwarder.cloudwatch import catalogue
from forwarder.cloudwatch.catalogue import GroupInfo
from forwarder.cloudwatch.fair_queue import Priority
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import DAY_MS
from forwarder.errors import AccessDeniedError, CloudWatchError, GroupNotFoundError, ThrottledError
from forwarder.reconcile import maintenance, scanner
from forwarder.reconcile.demand import BackfillRequest
from forwarder.reconcile.maintenance import GROUP_AGE_MS, OLDER_THAN_GROUP_MS
from forwarder.records import GapRecord, Notice, ScanDone
from tests.support.forwarder.feed_rig import FeedRig

MINUTE = 60_000
HOUR_MS = 60 * MINUTE


async def test_marks_resume_after_a_stream_was_deleted() -> None:
    rig = FeedRig()
    rig.cloudwatch.put("kept", (rig.now_ms, "kept"))
    rig.cloudwatch.put("gone", (rig.now_ms, "gone"))
    async with rig.run():
        await rig.pass_ms(1_000)
        rig.cloudwatch.delete_stream("gone")
        marked = len(rig.marks())
        await rig.pass_ms(1_000)
        assert len(rig.marks()) == marked  # [8]
        await rig.until(lambda: not rig.feed._maintenance._suspects)
        await rig.pass_ms(1_000)
        assert len(rig.marks()) > marked
        assert rig.messages() == ["kept", "gone"]


async def test_an_existing_stream_excuses_no_missing_events() -> None:
    rig = FeedRig()
    rig.cloudwatch.put("s", (rig.now_ms, "one"), (rig.now_ms, "two"))
    async with rig.run():
        await rig.pass_ms(1_000)
        hidden = rig.cloudwatch.events.pop()
        marked = len(rig.marks())
        for _ in range(3):
            await rig.pass_ms(1_000)
        assert len(rig.marks()) == marked
        rig.cloudwatch.events.append(hidden)
        await rig.pass_ms(1_000)
        assert len(rig.marks()) > marked


async def test_a_recreated_stream_counts_as_deleted() -> None:
    rig = FeedRig()
    rig.cloudwatch.put("s", (rig.now_ms, "old"))
    async with rig.run():
        await rig.pass_ms(1_000)
        rig.cloudwatch.delete_stream("s")
        rig.clock.now_ms += 100
        rig.cloudwatch.put("s", (rig.now_ms, "new"))
        marked = len(rig.marks())
        await rig.pass_ms(1_000)
        await rig.pass_ms(1_000)
        assert len(rig.marks()) > marked
        assert rig.messages() == ["old", "new"]


async def test_the_settings_of_the_group_are_learnt() -> None:
    rig = FeedRig()
    rig.cloudwatch.retention_days = 3
    rig.cloudwatch.created = rig.now_ms - 7 * DAY_MS
    async with rig.run():
        await rig.until(lambda: rig.group.retention_ms == 3 * DAY_MS)
        assert (
            rig.feed._maintenance.earliest_event_ms()
            == rig.cloudwatch.created - OLDER_THAN_GROUP_MS
        )


async def test_backfill_waits_for_the_retention_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = FeedRig()
    rig.cloudwatch.put("s", (rig.now_ms - HOUR_MS, "past"))
    gate, find = asyncio.Event(), catalogue.find_group

    async def slowly(cloudwatch: CloudWatch, name: str) -> GroupInfo | None:
        await gate.wait()
        return await find(cloudwatch, name)

    monkeypatch.setattr(scanner, "find_group", slowly)
    rig.feed.request_backfill("viewer", BackfillRequest(rig.now_ms - 2 * HOUR_MS))
    async with rig.run():
        for _ in range(40):
            await rig.pass_ms(1_000)
        assert {priority for priority, _, _ in rig.cloudwatch.asked} <= {
            Priority.POLL,
            Priority.SCAN,
        }
        assert rig.messages() == []
        gate.set()
        await rig.until(lambda: rig.messages() == ["past"])


async def test_backfill_waits_for_two_failed_lookups_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = FeedRig()
    rig.cloudwatch.put("s", (rig.now_ms - HOUR_MS, "past"))
    asked = 0

    async def throttled(*_: object) -> None:
        nonlocal asked
        asked += 1
        msg = "too many"
        raise ThrottledError(msg)

    monkeypatch.setattr(scanner, "find_group", throttled)
    monkeypatch.setattr(maintenance, "SETTINGS_RETRY_S", 0.001)
    rig.feed.request_backfill("viewer", BackfillRequest(rig.now_ms - 2 * HOUR_MS))
    async with rig.run():
        await rig.until(lambda: rig.messages() == ["past"])
    assert asked >= maintenance.FAILURES_MAX


async def test_without_permission_to_ask_it_works_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def denied(*_: object) -> None:
        msg = "not allowed: logs:DescribeLogGroups"
        raise AccessDeniedError(msg)

    monkeypatch.setattr(scanner, "find_group", denied)
    monkeypatch.setattr(maintenance, "find_stream", denied)
    rig = FeedRig()
    rig.cloudwatch.put("s", (rig.now_ms, "one"))
    async with rig.run():
        await rig.pass_ms(1_000)
        rig.cloudwatch.delete_stream("s")
        await rig.pass_ms(1_000)
        await rig.pass_ms(1_000)
        assert rig.messages() == ["one"]
        assert rig.group.retention_ms is None
        assert (
            rig.feed._maintenance.earliest_event_ms()
            == rig.now_ms - GROUP_AGE_MS - OLDER_THAN_GROUP_MS
        )


async def test_a_recreated_group_has_a_new_epoch() -> None:
    rig = FeedRig()
    rig.cloudwatch.put("s", (rig.now_ms, "old"))
    async with rig.run():
        rig.feed.request_backfill("viewer", BackfillRequest(rig.now_ms - MINUTE))
        await rig.pass_ms(1_000)
        epoch = rig.group.epoch
        rig.cloudwatch.delete_stream("s")
        rig.cloudwatch.down = GroupNotFoundError("there is no log group")
        await rig.try_again()
        await rig.until(lambda: rig.feed.problem is not None)
        assert rig.messages() == ["old"]
        rig.cloudwatch.down = None
        rig.cloudwatch.created = rig.now_ms
        rig.cloudwatch.put("s", (rig.now_ms, "new"))
        await rig.try_again()
        await rig.until(lambda: rig.group.epoch != epoch)
        await rig.until(lambda: rig.messages() == ["new"])
        await rig.pass_ms(10_000)
        assert rig.marks()[-1].through >= rig.now_ms - 2_000


async def test_failed_lookups_of_settings_are_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(maintenance, "SETTINGS_RETRY_S", 0)
    rig = FeedRig()
    rig.cloudwatch.retention_days = 3
    rig.cloudwatch.down = ThrottledError("too many")
    learning = asyncio.create_task(rig.feed._maintenance.refresh_settings())
    for _ in range(5):
        await asyncio.sleep(0)
    assert rig.group.retention_ms is None
    rig.cloudwatch.down = None
    await rig.until(lambda: rig.group.retention_ms == 3 * DAY_MS)
    learning.cancel()


async def test_bodies_expire_by_age_unless_they_are_still_to_be_sent() -> None:
    rig = FeedRig()
    day = rig.config.retain_ms
    rig.cloudwatch.put("s", *((rig.now_ms - day + minute * MINUTE, "m") for minute in range(-3, 3)))
    rig.group.ingest(rig.cloudwatch.events, "backfill")
    rig.feed.request_backfill("viewer", BackfillRequest(rig.now_ms - day - 2 * MINUTE))
    await rig.feed._maintenance.retain_once()
    assert rig.messages() == [None, *["m"] * 5]
    rig.feed.withdraw_backfill("viewer")
    await rig.feed._maintenance.retain_once()
    assert rig.messages() == [*[None] * 3, *["m"] * 3]
    assert rig.group.head_seq == 6


class Describing:
    """How often the log group's settings are asked for, and whether they are to be had."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.error: CloudWatchError | None = None
        self._find = catalogue.find_group
        monkeypatch.setattr(scanner, "find_group", self)

    async def __call__(self, cloudwatch: CloudWatch, name: str) -> GroupInfo | None:
        self.count += 1
        if self.error is not None:
            raise self.error
        return await self._find(cloudwatch, name)


def _shorten(rig: FeedRig) -> None:
    """Shorten the retention to a day; older events are removed at once."""
    rig.cloudwatch.retention_days = 1
    before = rig.now_ms - DAY_MS
    rig.cloudwatch.events = [one for one in rig.cloudwatch.events if one.timestamp >= before]


def _old_group() -> FeedRig:
    rig = FeedRig()
    rig.cloudwatch.created = rig.now_ms - 60 * DAY_MS
    rig.cloudwatch.put("s", (rig.now_ms - 2 * DAY_MS, "old"), (rig.now_ms - HOUR_MS, "new"))
    return rig


def _gone(rig: FeedRig) -> list[tuple[int, int]]:
    gaps = rig.group.journal.gaps()
    return [(gap.from_, gap.through) for gap in gaps if gap.state == "unrecoverable"]


async def test_events_lost_to_a_shortened_retention_are_declared_before_any_mark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    describing = Describing(monkeypatch)
    rig = _old_group()
    async with rig.run():
        await rig.until(lambda: describing.count == 1)
        _shorten(rig)
        since = rig.now_ms - 3 * DAY_MS
        rig.feed.request_backfill("viewer", BackfillRequest(since))
        await rig.until(lambda: not rig.missing(since))
        assert rig.messages() == ["new"]
        assert _gone(rig) == [(since, rig.now_ms - DAY_MS - 1)]
        marked = [at for at, one in enumerate(rig.notices) if _reaches(one, rig.now_ms - DAY_MS)]
        told = [at for at, one in enumerate(rig.notices) if isinstance(one, GapRecord)]
        assert marked
        assert told[0] < marked[0]
        windows = [one for one in rig.cloudwatch.asked if one[0] is Priority.BACKFILL]
        old = [one for one in windows if one[1] < rig.now_ms - DAY_MS]
        assert describing.count == 1 + len(old)
        await rig.pass_ms(60_000)
        assert describing.count == 1 + len(old)


def _reaches(notice: Notice, before_ms: int) -> bool:
    return isinstance(notice, ScanDone) and notice.from_ < before_ms


async def test_after_a_failed_lookup_expired_events_are_declared_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(maintenance, "SETTINGS_RETRY_S", 0.001)
    describing = Describing(monkeypatch)
    rig = _old_group()
    async with rig.run():
        await rig.until(lambda: describing.count == 1)
        _shorten(rig)
        describing.error = ThrottledError("too many")
        since = rig.now_ms - 3 * DAY_MS
        rig.feed.request_backfill("viewer", BackfillRequest(since))
        await rig.until(lambda: not rig.missing(since))
        assert _gone(rig) == []
        describing.error = None
        await rig.until(lambda: _gone(rig) == [(since, rig.now_ms - DAY_MS - 1)])


async def test_a_denied_lookup_is_not_repeated_for_each_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    describing = Describing(monkeypatch)
    describing.error = AccessDeniedError("not allowed: logs:DescribeLogGroups")
    rig = _old_group()
    since = rig.now_ms - 3 * DAY_MS
    rig.feed.request_backfill("viewer", BackfillRequest(since))
    async with rig.run():
        await rig.until(lambda: not rig.missing(since))
        assert describing.count == 1
        assert _gone(rig) == []


async def test_scans_that_lack_old_events_cause_a_lookup_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(maintenance, "SETTINGS_RETRY_S", 0.001)
    describing = Describing(monkeypatch)
    rig = _old_group()
    async with rig.run():
        since = rig.now_ms - 3 * DAY_MS
        rig.feed.request_backfill("viewer", BackfillRequest(since))
        await rig.until(lambda: len(rig.messages()) == 2)
        await rig.until(lambda: not rig.missing(since))
        count = describing.count
        _shorten(rig)
        await rig.pass_ms(40_000)  # a deep scan lacks the removed events
        await rig.until(lambda: rig.group.retention_ms == DAY_MS)
        assert describing.count == count + 1
        assert _gone(rig) == []  # it was seen, and is in the journal
        await rig.pass_ms(40_000)
        assert rig.marks()[-1].from_ == since
