"""A server's view of a log that somebody else writes, and that may be set back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from forwarder.cluster.log import Lease, Log, StoredGroup
from forwarder.cluster.replicated import ReplicatedJournal
from forwarder.cluster.status import Report
from forwarder.cluster.view import ForkedError, View
from forwarder.config import Config
from forwarder.errors import NotFollowedError
from forwarder.groups import following
from forwarder.groups.following import NOT_INGESTED, TAKEN_OVER, FollowedFeed, FollowingOpener
from forwarder.records import FeedKey, ScanDone
from tests.support.cluster.memory_log import MemoryEngine
from tests.support.forwarder.log_events import NOW_MS, event
from tests.support.processes.gapless_processes import WAIT_S
from wire.messages import Bye, Welcome
from wire.query import TailQuery

KEY = FeedKey("/g")


class Connection:
    """An ``Engine`` over the memory one."""

    def __init__(self, memory: MemoryEngine) -> None:
        self.name = "server"
        self._memory = memory

    def log(self, group: str, pattern: str = "") -> Log:
        return self._memory.log(group, pattern)

    def groups(self) -> list[StoredGroup]:
        return []

    def close(self) -> None:
        pass


class Rig:
    """An engine, an owner of its log, and the opener of a server."""

    def __init__(self, folder: Path) -> None:
        self.memory = MemoryEngine(lambda: NOW_MS)
        self.log = self.memory.log(KEY.group)
        self.view = View(folder / "owner", KEY.group, boot="boot")
        self.opener = FollowingOpener(
            Config(groups=(KEY.group,)),
            folder,
            "boot",
            lambda: Connection(self.memory),
            lifecycle=None,
            clock=lambda: NOW_MS,
            random=lambda: 0.5,
        )

    def take_over(self) -> ReplicatedJournal:
        lease = self.log.acquire(10_000)
        assert isinstance(lease, Lease)
        return ReplicatedJournal.take_over(
            self.log, lease, self.view, timer=lambda: 0, random=lambda: 0.5
        )

    @asynccontextmanager
    async def following(self) -> AsyncIterator[FollowedFeed]:
        feed = await self.opener.open(KEY)
        running = asyncio.create_task(feed.run())
        try:
            yield feed
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await feed.close()


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    # A viewer would be served without what its server takes longer to apply.
    monkeypatch.setattr(following, "CATCH_UP_S", WAIT_S)
    return Rig(tmp_path)


async def test_what_nobody_has_read_is_not_served(rig: Rig) -> None:
    with pytest.raises(NotFollowedError, match=NOT_INGESTED):
        await rig.opener.open(KEY)


async def test_catching_up_waits_for_what_was_appended_before(rig: Rig) -> None:
    journal = rig.take_over()
    async with rig.following() as feed:
        journal.append([event(1), event(2)], "live")
        assert await feed.catch_up()
        assert feed.group.head_seq == 2
        assert feed.group.epoch == journal.epoch


async def test_marks_follow_with_the_owners_status(rig: Rig) -> None:
    journal = rig.take_over()
    journal.append([event(1)], "live")
    done = ScanDone(NOW_MS - 5, NOW_MS, NOW_MS + 1, 1)
    async with rig.following() as feed:
        journal.renew(Report(proved=(done,), is_ready=True))
        progress = asyncio.Event()
        feed.hub.open(TailQuery(group=KEY.group, since=0), NOW_MS, wake=progress.set)
        async with asyncio.timeout(60):
            while not feed.hub.marks:
                await progress.wait()
                progress.clear()
        assert feed.hub.marks == [done]
        assert feed.hub.unready_reason is None


async def test_a_new_owner_sends_viewers_away_and_they_resume(rig: Rig) -> None:
    journal = rig.take_over()
    async with rig.following() as feed:
        query = TailQuery(group=KEY.group, since=0)
        viewer = feed.hub.open(query, NOW_MS, wake=lambda: None)
        welcome = viewer.session.next(NOW_MS)
        assert isinstance(welcome, Welcome)
        journal.begin_epoch()
        assert await feed.catch_up()
        bye = viewer.session.next(NOW_MS)
        assert isinstance(bye, Bye)
        assert (bye.reason, bye.retry_after_ms > 0) == (TAKEN_OVER, True)
        again = TailQuery(group=KEY.group, since=0, epoch=welcome.epoch, after=welcome.after)
        resumed = feed.hub.open(again, NOW_MS, wake=lambda: None).session.next(NOW_MS)
        assert isinstance(resumed, Welcome)
        assert resumed.outcome == "resumed"


async def test_a_view_of_a_log_that_was_set_back_is_built_again(rig: Rig) -> None:
    journal = rig.take_over()
    journal.append([event(1)], "live")
    before = rig.memory.state()
    journal.append([event(2)], "live")
    feed = await rig.opener.open(KEY)
    assert feed.group.head_seq == 2
    running = asyncio.create_task(feed.run())
    rig.memory.set_back(before)
    with pytest.raises(ForkedError):
        async with asyncio.timeout(60):
            await running
    await feed.close()
    async with rig.following() as rebuilt:
        assert rebuilt.group.head_seq == 1
