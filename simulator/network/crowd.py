"""Crowds of viewers that connect at once and reconnect at once when they are cut off.

They speak just enough WebSocket to be served like any viewer: after the handshake everything that
arrives is read and discarded. Unlike a proper viewer they reconnect without delay or jitter.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from simulator.network.frames import HEAD_BYTES_MAX, HEAD_END

HOST: Final = "127.0.0.1"

PAUSE_S: Final = 0.05
"""Pause before the next attempt after a refusal; without it a closed port would use up a core."""

_CHUNK_BYTES: Final = 65_536
_SWITCHING: Final = b" 101 "


class Crowds:
    """Crowds of WebSocket clients, one for each owner; used from one event loop."""

    def __init__(self, port: Callable[[], int], group: str) -> None:
        """``port`` returns the port that viewers of the log group ``group`` connect to."""
        self._port = port
        self._request_target = f"/v1/tail?{urlencode({'group': group})}"
        self._crowds: dict[str, list[asyncio.Task[None]]] = {}
        self._made: Counter[str] = Counter()
        self.connections = 0

    async def gather(self, owner: str, clients: int) -> None:
        """Connect ``clients`` clients, which replace the owner's earlier crowd."""
        await self.disperse(owner)
        self._made[owner] = 0
        self._crowds[owner] = [asyncio.create_task(self._client(owner)) for _ in range(clients)]

    async def disperse(self, owner: str) -> None:
        """End the owner's crowd; returns once its connections are closed."""
        tasks = self._crowds.pop(owner, [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def affected(self, owner: str) -> int:
        """How many WebSockets the owner's crowd has opened."""
        return self._made.get(owner, 0)

    def take_affected(self, owner: str) -> int:
        """The same, of a crowd that has ended; forgets it."""
        return self._made.pop(owner, 0)

    async def stop(self) -> None:
        """End every crowd."""
        for owner in tuple(self._crowds):
            await self.disperse(owner)

    async def _client(self, owner: str) -> None:
        while True:
            with contextlib.suppress(
                OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
            ):
                if await self._watch(owner):
                    continue
            await asyncio.sleep(PAUSE_S)

    async def _watch(self, owner: str) -> bool:
        """Read until the connection ends; whether it became a WebSocket."""
        reader, writer = await asyncio.open_connection(HOST, self._port(), limit=HEAD_BYTES_MAX)
        try:
            writer.write(self._request())
            head = await reader.readuntil(HEAD_END)
            if _SWITCHING not in head.partition(b"\r\n")[0]:
                return False
            self.connections += 1
            self._made[owner] += 1
            while await reader.read(_CHUNK_BYTES):
                pass
            return True
        finally:
            writer.transport.abort()

    def _request(self) -> bytes:
        # The key is no secret: it only shows that the answer is not cached.
        key = base64.b64encode(b"gapless simulator").decode()[:22] + "=="
        return (
            f"GET {self._request_target} HTTP/1.1\r\nHost: {HOST}:{self._port()}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
