"""Deleted log streams, the log group's settings, and retention."""

from __future__ import annotations

import asyncio

import pytest

from forwarder import catalogue, upkeep
from forwarder.catalogue import GroupInfo
from forwarder.cloudwatch import CloudWatch
from forwarder.config import DAY_MS
from forwarder.errors import AccessDenied, GroupNotFound, Throttled
from forwarder.turns import Priority
from forwarder.upkeep import GROUP_AGE_MS
from forwarder.wants import OLDER_THAN_GROUP_MS
from tests.support.feeding import Rig

MINUTE = 60_000
HOUR_MS = 60 * MINUTE


async def test_marks_come_again_after_a_stream_was_deleted() -> None:
    rig = Rig()
    rig.cloudwatch.put("kept", (rig.now_ms, "kept"))
    rig.cloudwatch.put("gone", (rig.now_ms, "gone"))
    async with rig.run():
        await rig.pass_ms(1_000)
        rig.cloudwatch.delete_stream("gone")
        marked = len(rig.marks())
        await rig.pass_ms(1_000)
        assert len(rig.marks()) == marked  # [8]
        await rig.until(lambda: not rig.feed._upkeep._suspects)
        await rig.pass_ms(1_000)
        assert len(rig.marks()) > marked
        assert rig.messages() == ["kept", "gone"]


async def test_a_stream_that_exists_excuses_nothing() -> None:
    rig = Rig()
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


async def test_a_stream_that_was_made_anew_was_deleted_too() -> None:
    rig = Rig()
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
    rig = Rig()
    rig.cloudwatch.retention_days = 3
    rig.cloudwatch.created = rig.now_ms - 7 * DAY_MS
    async with rig.run():
        await rig.until(lambda: rig.group.retention_ms == 3 * DAY_MS)
        assert rig.feed._upkeep.floor_ms() == rig.cloudwatch.created - OLDER_THAN_GROUP_MS


async def test_the_past_waits_until_it_was_asked_how_long_it_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()
    rig.cloudwatch.put("s", (rig.now_ms - HOUR_MS, "past"))
    gate, find = asyncio.Event(), catalogue.find_group

    async def slowly(cloudwatch: CloudWatch, name: str) -> GroupInfo | None:
        await gate.wait()
        return await find(cloudwatch, name)

    monkeypatch.setattr(upkeep, "find_group", slowly)
    rig.feed.want("viewer", rig.now_ms - 2 * HOUR_MS)
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


async def test_who_can_not_ask_for_now_waits_no_longer_than_two_attempts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()
    rig.cloudwatch.put("s", (rig.now_ms - HOUR_MS, "past"))
    asked = 0

    async def throttled(*_: object) -> None:
        nonlocal asked
        asked += 1
        msg = "too many"
        raise Throttled(msg)

    monkeypatch.setattr(upkeep, "find_group", throttled)
    monkeypatch.setattr(upkeep, "LEARN_AGAIN_S", 0.001)
    rig.feed.want("viewer", rig.now_ms - 2 * HOUR_MS)
    async with rig.run():
        await rig.until(lambda: rig.messages() == ["past"])
    assert asked >= upkeep.FAILURES_MAX


async def test_without_permission_to_ask_it_works_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def denied(*_: object) -> None:
        msg = "not allowed: logs:DescribeLogGroups"
        raise AccessDenied(msg)

    monkeypatch.setattr(upkeep, "find_group", denied)
    monkeypatch.setattr(upkeep, "find_stream", denied)
    rig = Rig()
    rig.cloudwatch.put("s", (rig.now_ms, "one"))
    async with rig.run():
        await rig.pass_ms(1_000)
        rig.cloudwatch.delete_stream("s")
        await rig.pass_ms(1_000)
        await rig.pass_ms(1_000)
        assert rig.messages() == ["one"]
        assert rig.group.retention_ms is None
        assert rig.feed._upkeep.floor_ms() == rig.now_ms - GROUP_AGE_MS - OLDER_THAN_GROUP_MS


async def test_a_group_that_was_deleted_and_made_anew_has_a_new_epoch() -> None:
    rig = Rig()
    rig.cloudwatch.put("s", (rig.now_ms, "old"))
    async with rig.run():
        rig.feed.want("viewer", rig.now_ms - MINUTE)
        await rig.pass_ms(1_000)
        epoch = rig.group.epoch
        rig.cloudwatch.delete_stream("s")
        rig.cloudwatch.down = GroupNotFound("there is no log group")
        await rig.try_again()
        await rig.until(lambda: rig.feed.trouble is not None)
        assert rig.messages() == ["old"]
        rig.cloudwatch.down = None
        rig.cloudwatch.created = rig.now_ms
        rig.cloudwatch.put("s", (rig.now_ms, "new"))
        await rig.try_again()
        await rig.until(lambda: rig.group.epoch != epoch)
        await rig.until(lambda: rig.messages() == ["new"])
        await rig.pass_ms(10_000)
        assert rig.marks()[-1].through >= rig.now_ms - 2_000


async def test_settings_that_could_not_be_looked_up_are_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "LEARN_AGAIN_S", 0)
    rig = Rig()
    rig.cloudwatch.retention_days = 3
    rig.cloudwatch.down = Throttled("too many")
    learning = asyncio.create_task(rig.feed._upkeep.learn())
    for _ in range(5):
        await asyncio.sleep(0)
    assert rig.group.retention_ms is None
    rig.cloudwatch.down = None
    await rig.until(lambda: rig.group.retention_ms == 3 * DAY_MS)
    learning.cancel()


async def test_bodies_go_by_age_but_not_what_a_viewer_is_owed() -> None:
    rig = Rig()
    day = rig.config.retain_ms
    rig.cloudwatch.put("s", *((rig.now_ms - day + minute * MINUTE, "m") for minute in range(-3, 3)))
    rig.group.ingest(rig.cloudwatch.events, "backfill")
    rig.feed.want("viewer", rig.now_ms - day - 2 * MINUTE)
    await rig.feed._upkeep.retain_once()
    assert rig.messages() == [None, *["m"] * 5]
    rig.feed.unwant("viewer")
    await rig.feed._upkeep.retain_once()
    assert rig.messages() == [*[None] * 3, *["m"] * 3]
    assert rig.group.head_seq == 6
