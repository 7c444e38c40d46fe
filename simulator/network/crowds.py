"""Crowds of viewers that come all at once, and come back as soon as they are cut off.

They speak just enough WebSocket to be served as any viewer is: a handshake, after which all that
comes is read and thrown away. One cut off is back at once, without the jitter of a proper viewer.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from simulator.network.frames import HEAD_BYTES_MAX, HEAD_END

HOST: Final = "127.0.0.1"

PAUSE_S: Final = 0.05
"""Before the next attempt of one that was refused: without it a dead port would cost a core."""

_CHUNK_BYTES: Final = 65_536
_SWITCHING: Final = b" 101 "


class Crowds:
    """Every crowd, by its owner; used from one event loop."""

    def __init__(self, port: Callable[[], int], group: str) -> None:
        """``port`` tells where the viewers of ``group`` connect to."""
        self._port = port
        self._request_target = f"/v1/tail?{urlencode({'group': group})}"
        self._crowds: dict[str, list[asyncio.Task[None]]] = {}
        self.connections = 0

    async def gather(self, owner: str, clients: int) -> None:
        """Let that many come, in place of the owner's earlier ones."""
        await self.disperse(owner)
        self._crowds[owner] = [asyncio.create_task(self._client()) for _ in range(clients)]

    async def disperse(self, owner: str) -> None:
        """Let them go; returns once their connections are closed."""
        tasks = self._crowds.pop(owner, [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        """Let everybody go."""
        for owner in tuple(self._crowds):
            await self.disperse(owner)

    async def _client(self) -> None:
        while True:
            with contextlib.suppress(
                OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
            ):
                if await self._watch():
                    continue
            await asyncio.sleep(PAUSE_S)

    async def _watch(self) -> bool:
        """Be connected for as long as it lasts; whether it was a WebSocket at all."""
        reader, writer = await asyncio.open_connection(HOST, self._port(), limit=HEAD_BYTES_MAX)
        try:
            writer.write(self._request())
            head = await reader.readuntil(HEAD_END)
            if _SWITCHING not in head.partition(b"\r\n")[0]:
                return False
            self.connections += 1
            while await reader.read(_CHUNK_BYTES):
                pass
            return True
        finally:
            writer.transport.abort()

    def _request(self) -> bytes:
        # The key is no secret: it only shows that the answer is not a cached one.
        key = base64.b64encode(b"gapless simulator").decode()[:22] + "=="
        return (
            f"GET {self._request_target} HTTP/1.1\r\nHost: {HOST}:{self._port()}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
