from __future__ import annotations

import asyncio
import gc
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from forwarder.delivery.hub import Hub
from forwarder.errors import (
    ForwarderError,
    GroupLimitError,
    GroupNotFoundError,
    GroupStoppedError,
    JournalError,
)
from forwarder.groups import keeper as module
from forwarder.groups.keeper import Keeper
from forwarder.ingest.log_group import LogGroup
from forwarder.records import FeedKey
from tests.support.forwarder.fake_feed import FakeFeed
from tests.support.forwarder.memory_journal import MemoryJournal
from wire.query import TailQuery

NOW = 1_795_000_000_000
ONE, TWO = FeedKey("/one"), FeedKey("/two")


class FakeOpenFeed:
    """A feed that runs until it is cancelled, or until ``broken`` has an error."""

    def __init__(self, key: FeedKey, rig: Rig) -> None:
        group = LogGroup(MemoryJournal(key.group))
        self.hub = Hub(group, FakeFeed(group))
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._key = key
        self._rig = rig

    async def run(self) -> None:
        await self.broken

    async def close(self) -> None:
        await asyncio.sleep(0)
        self._rig.open.remove(self._key)
        self._rig.closed[self._key] += 1


class Rig:
    """A keeper of fake feeds, with a clock that only the test advances."""

    def __init__(self, feeds_max: int = 10, linger_s: float = 60.0) -> None:
        self.now_s = 0.0
        self.opened: Counter[FeedKey] = Counter()
        self.closed: Counter[FeedKey] = Counter()
        self.open: list[FeedKey] = []
        self.feeds: dict[FeedKey, FakeOpenFeed] = {}
        self.errors: dict[FeedKey, ForwarderError] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.alone: list[ForwarderError] = []
        self.keeper = Keeper(
            self._open,
            feeds_max=feeds_max,
            linger_s=linger_s,
            now_s=lambda: self.now_s,
            random=lambda: 0.0,
            on_alone=self.alone.append,
        )

    async def _open(self, key: FeedKey) -> FakeOpenFeed:
        self.opened[key] += 1
        await self.gate.wait()
        if key in self.errors:
            raise self.errors[key]
        assert key not in self.open, "two journals of one feed"
        self.open.append(key)
        self.feeds[key] = FakeOpenFeed(key, self)
        return self.feeds[key]

    async def until_later(self, condition: Callable[[], bool]) -> None:
        """Advance the clock, until a condition holds: a start may end at any time."""
        async with asyncio.timeout(60):
            while not condition():
                self.now_s += 60
                await asyncio.sleep(0.001)

    def view(self, hub: Hub) -> Callable[[], None]:
        """Connect a viewer; returns what disconnects it."""
        viewer = hub.open(TailQuery(since=NOW), NOW, wake=lambda: None)
        return lambda: hub.close(viewer)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_S", 0.001)
    monkeypatch.setattr(module, "_CHECK_CLOSED_S", 0.001)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.001)


@asynccontextmanager
async def sweeping(rig: Rig) -> AsyncIterator[None]:
    task = asyncio.create_task(rig.keeper.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_concurrent_requests_share_one_start() -> None:
    rig = Rig()
    rig.gate.clear()
    requests = [asyncio.create_task(rig.keeper.acquire(ONE)) for _ in range(20)]
    other = asyncio.create_task(rig.keeper.acquire(TWO))
    await until(lambda: len(rig.opened) == 2)
    requests[0].cancel()  # who asked first has gone; the others still get it
    rig.gate.set()
    hubs = await asyncio.gather(*requests[1:])
    assert len(set(map(id, hubs))) == 1
    assert (await other).group.name == "/two"
    assert rig.opened == {ONE: 1, TWO: 1}
    await rig.keeper.close()
    assert rig.open == []


async def test_a_failed_start_is_reported_to_its_requesters_and_tried_again() -> None:
    rig = Rig()
    rig.errors[ONE] = GroupNotFoundError("there is no log group '/one'")
    requests = [rig.keeper.acquire(ONE) for _ in range(3)]
    results = await asyncio.gather(*requests, rig.keeper.acquire(TWO), return_exceptions=True)
    assert [type(one) for one in results] == [*[GroupNotFoundError] * 3, Hub]
    assert rig.keeper.failed_starts == 1
    del rig.errors[ONE]
    assert (await rig.keeper.acquire(ONE)).group.name == "/one"
    await rig.keeper.close()


async def test_a_feed_without_viewers_is_stopped_after_the_linger_time() -> None:
    rig = Rig(linger_s=60)
    async with sweeping(rig):
        leave = rig.view(await rig.keeper.acquire(ONE))
        await rig.keeper.acquire(TWO)
        rig.keeper.pin(TWO)
        rig.now_s = 1_000
        await asyncio.sleep(0.02)
        assert set(rig.keeper.hubs) == {ONE, TWO}
        leave()
        rig.now_s = 1_059
        await asyncio.sleep(0.02)
        assert ONE in rig.keeper.hubs
        rig.now_s = 1_060.5
        await until(lambda: rig.open == [TWO])
        assert (await rig.keeper.acquire(ONE)).group.name == "/one"
        assert rig.opened[ONE] == 2
    await rig.keeper.close()


async def test_at_the_limit_an_unwatched_feed_makes_room_but_no_other_does() -> None:
    rig = Rig(feeds_max=2)
    await rig.keeper.acquire(ONE)
    rig.now_s = 1
    leave = rig.view(await rig.keeper.acquire(TWO))
    await rig.keeper.acquire(FeedKey("/three"))
    await until(lambda: sorted(rig.open) == [FeedKey("/three"), TWO])
    rig.keeper.pin(FeedKey("/three"))
    with pytest.raises(GroupLimitError, match=r"serves 2 log groups already.*--max-groups"):
        await rig.keeper.acquire(ONE)
    leave()
    await rig.keeper.close()


async def test_a_feed_that_is_not_pinned_any_more_does_not_linger_without_viewers() -> None:
    rig = Rig(linger_s=60)
    for key in (ONE, TWO):
        rig.keeper.pin(key)
    async with sweeping(rig):
        await until(lambda: len(rig.open) == 2)
        leave = rig.view(rig.keeper.hubs[TWO])
        for key in (ONE, TWO):
            rig.keeper.unpin(key)
        await until(lambda: rig.open == [TWO])
        leave()
    await rig.keeper.close()


async def test_an_error_of_one_journal_spares_the_others_and_a_pinned_feed_comes_back() -> None:
    rig = Rig()
    async with sweeping(rig):
        for key in (ONE, TWO):
            rig.keeper.pin(key)
        await until(lambda: len(rig.open) == 2)
        leave = rig.view(rig.keeper.hubs[ONE])
        first = rig.feeds[ONE]
        first.broken.set_exception(JournalError("the journal is damaged"))
        await until(lambda: ONE not in rig.keeper.hubs)
        assert TWO in rig.keeper.hubs
        assert rig.alone == []
        assert rig.keeper.problems == {ONE: "the journal is damaged"}
        leave()
        await until(lambda: rig.closed[ONE] == 1)
        rig.now_s = 10
        await until(lambda: ONE in rig.keeper.hubs)
        assert rig.feeds[ONE] is not first
        await until(lambda: not rig.keeper.problems)
    await rig.keeper.close()


async def test_the_error_of_the_last_feed_is_reported() -> None:
    rig = Rig()
    await rig.keeper.acquire(ONE)
    rig.feeds[ONE].broken.set_exception(JournalError("gone"))
    await until(lambda: bool(rig.alone))
    await rig.keeper.close()


async def test_an_unexpected_error_stops_only_its_feed() -> None:
    rig = Rig()
    await rig.keeper.acquire(ONE)
    await rig.keeper.acquire(TWO)
    rig.feeds[ONE].broken.set_exception(RuntimeError("a defect"))
    await until(lambda: rig.open == [TWO])
    await rig.keeper.close()


async def test_a_pinned_group_that_does_not_exist_yet_is_tried_again_and_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    rig.errors[ONE] = JournalError("it is in use")
    rig.keeper.pin(ONE)
    async with sweeping(rig):
        await rig.until_later(lambda: rig.opened[ONE] == 4)
        assert rig.keeper.problems
        del rig.errors[ONE]
        await rig.until_later(lambda: ONE in rig.keeper.hubs)
    assert [one.message for one in caplog.records] == ["/one: it is in use (trying again)"]
    await rig.keeper.close()


async def test_after_the_close_nothing_starts_and_a_start_that_runs_is_ended() -> None:
    rig = Rig()
    rig.gate.clear()
    request = asyncio.create_task(rig.keeper.acquire(ONE))
    await until(lambda: bool(rig.opened))
    await rig.keeper.close()
    with pytest.raises(GroupStoppedError):
        await request
    with pytest.raises(GroupStoppedError):
        await rig.keeper.acquire(TWO)
    assert rig.open == []


async def test_a_group_that_is_removed_before_its_start_has_begun_can_be_served_again() -> None:
    rig = Rig()
    request = asyncio.create_task(rig.keeper.acquire(ONE))
    await asyncio.sleep(0)  # the start is due, and has not run yet
    rig.keeper.stop(ONE, "it is not served any more")
    with pytest.raises(GroupStoppedError, match="it is not served any more"):
        await request
    assert not rig.opened
    await rig.keeper.acquire(ONE)
    assert rig.open == [ONE]
    await rig.keeper.close()


async def test_a_pinned_group_that_is_removed_while_it_starts_is_no_problem_to_report(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    rig.gate.clear()
    rig.keeper.pin(ONE)
    async with sweeping(rig):
        await until(lambda: bool(rig.opened))
        rig.keeper.unpin(ONE)
        rig.keeper.stop(ONE, "it is not served any more")
        rig.gate.set()
        rig.keeper.pin(TWO)
        await until(lambda: TWO in rig.keeper.hubs)
        rig.keeper.pin(ONE)
        await rig.until_later(lambda: ONE in rig.keeper.hubs)
    assert caplog.messages == []
    await rig.keeper.close()


def disturb(rig: Rig, key: FeedKey, rng: random.Random, leaving: list[Callable[[], None]]) -> None:
    """Do something to a feed while clients use it."""
    match rng.randrange(5):
        case 0:
            rig.keeper.pin(key)
        case 1:
            rig.keeper.unpin(key)
        case 2:
            rig.keeper.stop(key, "stopped by the test")
        case 3 if key in rig.keeper.hubs:
            rig.keeper.fail(rig.keeper.hubs[key], JournalError("damaged"))
        case _ if leaving:
            leaving.pop(rng.randrange(len(leaving)))()


async def served_again(rig: Rig, key: FeedKey) -> None:
    """Start a feed, once those that are ending have made room and a failed start is forgotten."""
    async with asyncio.timeout(60):
        while True:
            with suppress(GroupLimitError, GroupStoppedError, JournalError):
                await rig.keeper.acquire(key)
                return
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_at_once_no_feed_is_open_twice_and_none_is_left(seed: int) -> None:
    rng, rig = random.Random(seed), Rig(feeds_max=4, linger_s=2)
    keys = [FeedKey(f"/{number}") for number in range(6)]
    leaving: list[Callable[[], None]] = []

    async def client() -> None:
        for _ in range(30):
            key = rng.choice(keys)
            rig.errors.pop(key, None)
            if rng.random() < 0.2:
                rig.errors[key] = JournalError("in use")
            disturb(rig, key, rng, leaving)
            with suppress(ForwarderError, TimeoutError):
                async with asyncio.timeout(rng.choice((0.0, 60.0))):
                    leaving.append(rig.view(await rig.keeper.acquire(key)))
            rig.now_s += rng.random()
            for _ in range(rng.randrange(4)):
                await asyncio.sleep(0)

    async def tick() -> None:
        while True:
            rig.now_s += 0.1
            await asyncio.sleep(0.001)

    async with sweeping(rig):
        ticking = asyncio.create_task(tick())
        await asyncio.gather(*(client() for _ in range(5)))
        ticking.cancel()
        for leave in leaving:
            leave()
        rig.errors.clear()
        for key in keys:
            rig.keeper.unpin(key)
        for key in keys:
            await served_again(rig, key)
    rig.now_s += 100
    await rig.keeper.close()
    assert rig.open == []
    assert not rig.keeper.hubs
    assert len(asyncio.all_tasks()) == 1


async def test_many_feeds_that_come_and_go_leave_nothing() -> None:
    rig = Rig(feeds_max=50, linger_s=0)
    async with sweeping(rig):
        for number in range(300):
            rig.now_s += 1
            await rig.keeper.acquire(FeedKey(f"/{number}"))
        rig.now_s += 1
        await until(lambda: not rig.open)
        assert len(asyncio.all_tasks()) == 2
    rig.feeds.clear()
    gc.collect()
    assert sum(isinstance(one, FakeOpenFeed) for one in gc.get_objects()) == 0
    await rig.keeper.close()
