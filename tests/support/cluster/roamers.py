"""Viewers that move from one server to another whenever a connection ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.support.processes.gapless_processes import POLL_S
from tests.support.processes.protocol_client import ProtocolClient


class Roamer:
    """A protocol client with a task that keeps it connected, to each server in turn."""

    def __init__(self, urls: Sequence[str], since: int, first: int = 0) -> None:
        self.client = ProtocolClient(urls[first % len(urls)], since=since)
        self.outcomes: list[str] = []
        """Outcome of each welcome."""
        self.reasons: list[str] = []
        """Reasons of the byes."""
        self._urls = urls
        self._at = first
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        client = self.client
        while True:
            with suppress(ConnectionClosed, InvalidHandshake, OSError, EOFError):
                welcome = await client.connect()
                self.outcomes.append(welcome["outcome"])
                try:
                    while True:
                        await client.now.step()
                finally:
                    if client.now.bye is not None:
                        self.reasons.append(client.now.bye["reason"])
            self._at += 1
            client.url = self._urls[self._at % len(self._urls)]
            await asyncio.sleep(POLL_S)

    async def cut(self) -> None:
        """Abort the present connection, as a bad network does."""
        await self.client.now.cut()

    def check(self) -> None:
        """Raise what the task has met: a broken rule."""
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        """Disconnect."""
        self.check()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with suppress(ConnectionClosed, IndexError):
            await self.client.now.close()
