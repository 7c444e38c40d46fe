"""One viewer's connection joined to its session: reads, pulls, sends, and fetches bodies.

Each send has a deadline of its own: the library's keepalive does not notice a reader that has
stalled, and its ``broadcast`` queues without limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from websockets.exceptions import ConnectionClosed

from forwarder.delivery.hub import Viewer
from forwarder.limits import ASKS_BURST, ASKS_PER_S, CLOSE_S
from forwarder.server.admission import Bucket, Guard, Reason
from forwarder.server.connection import Connection
from wire.codec import decode_client
from wire.errors import WireError
from wire.limits import (
    CLOSE_BAD_MESSAGE,
    CLOSE_GROUP_DENIED,
    CLOSE_RATE_LIMITED,
    CLOSE_REASONS,
    CLOSE_SHUTTING_DOWN,
    CLOSE_TOKEN,
    CLOSE_TOO_SLOW,
)
from wire.messages import Credit

REFETCH_BEFORE_WELCOME_MS: Final = 5_000
"""How long ``welcome`` waits for bodies, so that it can say what is lost."""

REFETCH_MS: Final = 30_000
REFETCH_PAUSE_S: Final = 1.0
"""Of bodies that turn out to be missing later, one attempt and the pause before the next."""

RETRY_AFTER_MS: Final = 1_000
"""What a viewer that asks too much is told to wait."""

_REASON_BYTES_MAX: Final = 120

_REASONS: Final[dict[int, Reason]] = {
    CLOSE_BAD_MESSAGE: "bad_message",
    CLOSE_RATE_LIMITED: "rate",
    CLOSE_TOKEN: "revoked",
    CLOSE_GROUP_DENIED: "revoked",
}
"""How the metrics call it when a session closes for that."""


class Link:
    """One viewer's connection joined to its session."""

    def __init__(
        self,
        connection: Connection,
        viewer: Viewer,
        wake: asyncio.Event,
        clock: Callable[[], int],
        guard: Guard,
        send_deadline_s: float,
    ) -> None:
        """Join them; nothing runs before ``run``.

        Args:
            connection: open.
            viewer: as its hub has made it.
            wake: what the viewer sets when there may be something to send.
            clock: ms since the Unix epoch.
            guard: counts what is refused.
            send_deadline_s: how long one send may take.

        """
        self._connection = connection
        self._viewer = viewer
        self._session = viewer.session
        self._wake = wake
        self._clock = clock
        self._guard = guard
        self._send_deadline_s = send_deadline_s
        self._is_gone = False
        self._fetching: asyncio.Task[None] | None = None
        self._asks: Bucket | None = None

    async def run(self) -> None:
        """Until the viewer goes or has to go.

        Raises:
            ConnectionClosed: it went.
            TimeoutError: it did not take a frame in time.
            ForwarderError: the journal can't be read any more.

        """
        reading = asyncio.create_task(self._read())
        try:
            await self._fetch_before_welcome()
            await self._write()
        finally:
            tasks = [reading] if self._fetching is None else [reading, self._fetching]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def cut_off(self) -> None:
        """Close with 4008, which who reads on at last still hears; whoever does not is aborted."""
        connection = self._connection
        with suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(CLOSE_S):
                await connection.flush()
                await connection.close(CLOSE_TOO_SLOW, CLOSE_REASONS[CLOSE_TOO_SLOW])
        connection.transport.abort()

    # What comes

    async def _read(self) -> None:
        try:
            while True:
                self._receive(await self._connection.receive())
                self._wake.set()
        except ConnectionClosed as closed:
            # A frame that is no message by its kind or size is refused before anybody sees it.
            if closed.sent is not None and closed.sent.code == CLOSE_BAD_MESSAGE:
                self._count(CLOSE_BAD_MESSAGE)
            self._is_gone = True
        except WireError as error:
            self._bye(str(error), CLOSE_BAD_MESSAGE)
        self._wake.set()

    def _receive(self, data: bytes) -> None:
        message = decode_client(data)
        if not isinstance(message, Credit) and not self._may_ask():
            self._bye("too many requests", CLOSE_RATE_LIMITED)
            return
        self._session.receive(message)

    def _may_ask(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        if self._asks is None:
            self._asks = Bucket(ASKS_PER_S, ASKS_BURST, now_s)
        return self._asks.take(now_s)

    def _bye(self, reason: str, code: int) -> None:
        retry_after_ms = RETRY_AFTER_MS if code == CLOSE_RATE_LIMITED else 0
        self._session.bye(reason, code=code, retry_after_ms=retry_after_ms)

    def _count(self, code: int) -> None:
        """We close the connection for a reason that the metrics know."""
        self._viewer.hub.tallies.bad_messages += code == CLOSE_BAD_MESSAGE
        reason = _REASONS.get(code)
        if reason is not None:
            self._guard.refused[reason] += 1

    # What goes

    async def _write(self) -> None:
        session, connection = self._session, self._connection
        while not self._is_gone:
            self._wake.clear()
            message = session.next(self._clock())
            if message is None:
                self._viewer.hub.idle(self._viewer)
                self._fetch_bodies()
                await self._wait()
                continue
            parts = session.parts(message)
            self._viewer.bytes_sent += sum(map(len, parts))
            if not connection.begin(parts):
                async with asyncio.timeout(self._send_deadline_s):
                    await connection.flush()
            if session.is_over:
                await self._close()
                return
            # A send that the kernel takes at once does not let others go between.
            await asyncio.sleep(0)

    async def _wait(self) -> None:
        """Until there may be something to send, or it is time to say that there is not."""
        session = self._session
        wait_ms = min(session.wake_at_ms - self._clock(), session.heartbeat_ms)
        if wait_ms <= 0:
            await asyncio.sleep(0)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_ms / 1000):
                await self._wake.wait()

    async def _close(self) -> None:
        code = self._session.close_code or CLOSE_SHUTTING_DOWN
        self._count(code)
        reason = CLOSE_REASONS.get(code, "").encode()[:_REASON_BYTES_MAX].decode()
        await self._connection.close(code, reason)

    # Bodies that retention took

    async def _fetch_before_welcome(self) -> None:
        needed = self._session.wants_bodies
        if needed is not None:
            deadline_ms = self._clock() + REFETCH_BEFORE_WELCOME_MS
            await self._viewer.hub.feed.refetch(*needed, deadline_ms)

    def _fetch_bodies(self) -> None:
        """Have bodies fetched that the session has met without; it stalls nobody else."""
        needed = self._session.wants_bodies
        if needed is None or (self._fetching is not None and not self._fetching.done()):
            return
        if self._fetching is not None:
            self._fetching.result()
        self._fetching = asyncio.create_task(self._fetch(needed))

    async def _fetch(self, needed: tuple[int, int]) -> None:
        refetch = self._viewer.hub.feed.refetch
        if not await refetch(*needed, self._clock() + REFETCH_MS):
            await asyncio.sleep(REFETCH_PAUSE_S)
        self._wake.set()
