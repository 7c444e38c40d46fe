"""A real server on a loopback socket, whose feed reads a CloudWatch in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from forwarder.cloudwatch.clock import wall_clock_ms
from forwarder.config import Config, Limits
from forwarder.delivery.hub import Hub
from forwarder.errors import ForwarderError
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.log_group import LogGroup
from forwarder.reconcile.feed import Feed
from forwarder.records import FeedKey
from forwarder.server.admission import Admission
from forwarder.server.api import Api
from forwarder.server.server import Server
from tests.support.forwarder.fake_cloudwatch import Clock, FakeCloudWatch
from tests.support.forwarder.memory_journal import MemoryJournal

GROUP = "/served/group"


class FeedServer(NamedTuple):
    """A log group that is served: write to ``cloudwatch``, and tail at ``url``."""

    cloudwatch: FakeCloudWatch
    feed: Feed
    url: str

    def put(self, *messages: str) -> None:
        """Write messages with the time of now, and poll for them."""
        now_ms = wall_clock_ms()
        self.cloudwatch.put("job/1", *((now_ms, message) for message in messages))
        self.feed.poll_now()


@asynccontextmanager
async def serve_feed(lifecycle: Lifecycle | None, heartbeat_ms: int) -> AsyncIterator[FeedServer]:
    """Serve a log group for the length of the block."""
    cloudwatch = FakeCloudWatch(GROUP, Clock(wall_clock_ms()))
    group = LogGroup(MemoryJournal(GROUP), lifecycle=lifecycle)

    def on_progress() -> None:
        hub.progress()

    config = Config(groups=(GROUP,))
    feed = Feed(group, cloudwatch, config=config, clock=wall_clock_ms, on_progress=on_progress)
    hub = Hub(group, feed, heartbeat_ms=heartbeat_ms)
    admission = Admission(Limits())
    api = Api({FeedKey(GROUP): hub}, None, refused=admission.refused)
    errors: list[ForwarderError] = []
    server = Server(
        api, admission, clock=wall_clock_ms, on_error=lambda _, error: errors.append(error)
    )
    await server.bind("127.0.0.1", 0)
    await server.accept()
    reading = asyncio.create_task(feed.run())
    try:
        yield FeedServer(cloudwatch, feed, f"ws://127.0.0.1:{server.port}/v1/tail")
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        await server.stop("the end")
    assert errors == []
