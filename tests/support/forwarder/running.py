"""A forwarder that runs within the test's process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.tokens import OfferedToken
from forwarder.config import Config
from forwarder.main import Ready, run


@asynccontextmanager
async def running(settings: Config, offered: OfferedToken | None = None) -> AsyncIterator[Ready]:
    """Run a forwarder; gives its ready line, and raises what ended it before."""
    said: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    task = asyncio.create_task(run(settings, said.set_result, stop, offered))
    either: list[asyncio.Future[Ready] | asyncio.Task[None]] = [said, task]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield said.result()
    finally:
        stop.set()
        async with asyncio.timeout(240):
            await task
