"""From a raw moto server into a journal, with the real clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from forwarder.cloudwatch.clock import wall_clock_ms
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import AwsOptions, Config
from forwarder.ingest.log_group import LogGroup
from forwarder.reconcile.demand import BackfillRequest
from forwarder.reconcile.feed import Feed
from tests.support.forwarder.feed_rig import missing
from tests.support.forwarder.memory_journal import MemoryJournal
from tests.support.network.kept_port import kept_port
from tests.support.processes.moto_server import CREDENTIALS, raw_moto

GROUP = "/moto/group"
HOUR = 3_600_000


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


class Running:
    """A feed on a moto server, polling ten times a second."""

    def __init__(self, cloudwatch: CloudWatch) -> None:
        self.group = LogGroup(MemoryJournal(GROUP))
        config = Config(groups=(GROUP,), poll_ms=100)
        self._changed = asyncio.Event()
        self.feed = Feed(self.group, cloudwatch, config=config, on_progress=self._changed.set)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the feed has made a condition true."""
        async with asyncio.timeout(240):
            while not condition():
                await self._changed.wait()
                self._changed.clear()

    def messages(self) -> list[str | None]:
        """The journal's messages, sorted."""
        rows = self.group.journal.read_after(0, 1_000_000)
        return sorted((row.message for row in rows), key=str)


@asynccontextmanager
async def running(url: str) -> AsyncIterator[Running]:
    async with CloudWatch(AwsOptions(endpoint_url=url)) as cloudwatch:
        await cloudwatch.check(GROUP)
        made = Running(cloudwatch)
        task = asyncio.create_task(made.feed.run())
        try:
            yield made
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_everything_written_arrives_once_whatever_its_time() -> None:
    with raw_moto() as moto:
        moto.create(GROUP, "a", "b", "c")
        now = wall_clock_ms()
        wanted = []
        for stream in ("a", "b", "c"):  # one millisecond, more than a page
            messages = [f"{stream} {number}" for number in range(4_000)]
            moto.put(GROUP, stream, [(now, message) for message in messages])
            wanted += messages
        # Late ones are there before the backfill begins: later ones wait for the next deep scan.
        strange = {-60_000: "late", -500: "a bit late", -3 * HOUR: "very late"}
        strange[110 * 60_000] = "ahead"
        for offset, message in sorted(strange.items()):
            moto.put(GROUP, "a", [(now + offset, message)])
        wanted += strange.values()
        async with running(moto.url) as one:
            one.feed.request_backfill("viewer", BackfillRequest(now - 4 * HOUR))
            for number in range(20):
                line = (wall_clock_ms(), f"live {number}")
                await asyncio.to_thread(moto.put, GROUP, "b", [line])
                wanted.append(line[1])
            await one.until(lambda: one.group.head_seq >= len(wanted))
            await one.until(lambda: not missing(one.feed, now - 4 * HOUR))
            assert one.messages() == sorted(wanted)
            # A line that moto shows late is reported as a delay for a while.
            await one.until(lambda: one.feed.upstream.state == "ok")


async def test_a_dead_server_is_waited_for_and_a_new_one_is_noticed() -> None:
    with kept_port() as port, raw_moto(port) as moto:
        moto.create(GROUP, "a")
        moto.put(GROUP, "a", [(wall_clock_ms(), "before")])
        async with running(moto.url) as one:
            await one.until(lambda: one.group.head_seq == 1)
            epoch = one.group.epoch
            await asyncio.to_thread(moto.kill)
            await one.until(lambda: one.feed.problem is not None)
            assert moto.url in str(one.feed.problem)
            assert one.feed.upstream.state == "unreachable"
            assert one.messages() == ["before"]
            with raw_moto(port) as again:
                again.create(GROUP, "a")
                again.put(GROUP, "a", [(wall_clock_ms(), "after")])
                await one.until(lambda: one.group.epoch != epoch)
                await one.until(lambda: one.messages() == ["after"])
                await one.until(lambda: one.feed.upstream.state == "ok")
