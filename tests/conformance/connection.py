"""One connection to the forwarder: a socket, read all the time, and its observer. A shell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.conformance.observer import Observer
from wire.codec import encode
from wire.messages import Credit, Heartbeat, Repair, Verify

TICK_S: Final = 0.1
"""How often it is looked whether we ourselves were held up."""

EVENTS_MAX: Final = 100_000
"""Events that a run holds; with more, begin later."""


class TooManyError(Exception):
    """There are more events than a run holds."""


class Connection:
    """Open until ``close``; what comes is observed as it comes."""

    def __init__(self, socket: ClientConnection, observer: Observer) -> None:
        """Begin to read."""
        self.observer = observer
        self.close_code: int | None = None
        """With which code the forwarder closed; None: not yet, or without one."""
        self.is_over = False
        self._socket = socket
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._error: Exception | None = None
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._tick())]

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a condition holds; False where it does not, in that time or any more.

        Raises:
            TooManyError: the log is too long.

        """
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    if self._error is not None:
                        raise self._error
                    if self.is_over:
                        return False
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def send(self, message: Credit | Verify | Repair) -> None:
        """Send a message; that the connection is gone by now is seen by who waits for an answer."""
        if isinstance(message, Credit):
            granted = self.observer.granted
            self.observer.granted = max(message.events, granted or 0)
        else:
            self.observer.asks(message)
        await self.send_raw(encode(message).decode("utf-8"))

    async def send_raw(self, frame: str | bytes) -> None:
        """Send a frame as it is."""
        try:
            await self._socket.send(frame)
        except ConnectionClosed:
            return

    async def close(self) -> None:
        """End it, unless it has ended."""
        self.observer.check_silence(self._loop.time())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._socket.transport.abort()
        await self._socket.wait_closed()

    async def _read(self) -> None:
        try:
            async for frame in self._socket:
                message = self.observer.take(frame, self._loop.time())
                if isinstance(message, Heartbeat) and self.observer.granted is not None:
                    # Repeated at each heartbeat, as the page has it.
                    await self.send(Credit(events=self.observer.granted))
                if len(self.observer.holdings.events) > EVENTS_MAX:
                    self._error = TooManyError()
                self._changed.set()
        except ConnectionClosed:
            pass
        finally:
            self.close_code = self._socket.close_code
            self.is_over = True
            self._changed.set()

    async def _tick(self) -> None:
        """Notice when this process was held up, which is not the forwarder's silence."""
        while True:
            before = self._loop.time()
            await asyncio.sleep(TICK_S)
            late_s = self._loop.time() - before - TICK_S
            if late_s > TICK_S:
                self.observer.stalled_s += late_s
