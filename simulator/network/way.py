"""One way of a connection through the cable, from the viewer or to it, and what it suffers.

While it suffers nothing, what is read is written. Delayed bytes wait in a queue of bounded size.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from simulator.network.frames import Piece, ServerStream, close_frame
from simulator.network.toxics import (
    Bandwidth,
    FrameStrain,
    FrameToxic,
    Hold,
    Latency,
    Limit,
    Pace,
    Strain,
)

CHUNK_BYTES: Final = 65_536

QUEUE_BYTES_MAX: Final = 1 << 20
"""Delayed bytes of one way; beyond it nothing more is read, as on a real link."""


class Gate:
    """Open unless somebody holds it."""

    def __init__(self) -> None:
        """Open."""
        self._holders: set[str] = set()
        self._is_broken = False
        self._open = asyncio.Event()
        self._open.set()

    def hold(self, owner: str) -> None:
        """Close it."""
        if not self._is_broken:
            self._holders.add(owner)
            self._open.clear()

    def stay_open(self) -> None:
        """Open it for good: the connection is at its end."""
        self._is_broken = True
        self._holders.clear()
        self._open.set()

    def let_go(self, owner: str) -> None:
        """Open it, unless another holds it."""
        self._holders.discard(owner)
        if not self._holders:
            self._open.set()

    async def passed(self) -> None:
        """Wait until it is open."""
        await self._open.wait()


class Way:
    """Passes bytes on until their source ends; used from one event loop."""

    def __init__(
        self,
        ends: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        link: Gate,
        rng: Random,
        cut: Callable[[bool], None],
        *,
        is_down: bool,
    ) -> None:
        """From the first of ``ends`` to the second.

        Args:
            ends: where bytes come from and go to.
            link: closed while nothing passes, whichever way.
            rng: draws the jitter.
            cut: ends the connection, with a reset if it is given True.
            is_down: whether this is the way from the server.

        """
        self._source, self._sink = ends
        self._link = link
        self._reading = Gate()
        self._cut = cut
        self.stream = ServerStream() if is_down else None
        self._toxics: dict[str, FrameToxic] = {}
        self._paces: dict[str, Latency | Bandwidth] = {}
        self._limits: dict[str, tuple[int, bool]] = {}
        self._pace = Pace(rng)
        self._queue: deque[tuple[float, bytes]] = deque()
        self._queued_bytes = 0
        self._delivery: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._close_code: int | None = None
        self._is_muted = False
        self._is_over = False

    def suffer(self, owner: str, strain: Strain, rng: Random) -> None:
        """Be under a strain from now on, in place of the owner's earlier one."""
        self.recover(owner)
        if isinstance(strain, (Latency, Bandwidth)):
            self._paces[owner] = strain
        elif self.stream is None:
            return
        elif isinstance(strain, FrameStrain):
            self._toxics[owner] = FrameToxic(strain, rng)
        elif isinstance(strain, Limit):
            self._limits[owner] = (strain.after_bytes, strain.resets)
        elif isinstance(strain, Hold) and not strain.both_ways:
            self._reading.hold(owner)

    def recover(self, owner: str) -> None:
        """Be free of the owner's strain; what waited because of it goes on at once."""
        self._limits.pop(owner, None)
        self._reading.let_go(owner)
        toxic = self._toxics.pop(owner, None)
        if toxic is not None:
            self._release([toxic], is_all=not self._toxics)
        if self._paces.pop(owner, None) is not None and not self._paces:
            self._pace.forget()
            self._hurry.set()

    def _release(self, toxics: Iterable[FrameToxic], *, is_all: bool) -> None:
        """Pass on what waits because of them; with ``is_all`` half a frame, too."""
        self._emit(b"".join(piece.data for toxic in toxics for piece in toxic.released()))
        if is_all and self.stream is not None:
            self._emit(self.stream.released())

    def mute(self) -> None:
        """Read on, and pass nothing on any more."""
        self._is_muted = True

    def close_with(self, code: int) -> None:
        """Send a close frame as soon as a frame has ended; then nothing more."""
        if self.stream is None or not self.stream.is_websocket:
            return
        self._close_code = code
        if self.stream.is_between:
            self._say_close()

    async def run(self) -> None:
        """Pass bytes on until the source has ended, then say so.

        Raises:
            OSError: one of the ends is gone.

        """
        while data := await self._read():
            for piece in self._shaped(data):
                self._emit(piece.data)
            await self._sink.drain()
            await self._room.wait()
        self._release(self._toxics.values(), is_all=True)
        if self._delivery is not None:
            await asyncio.wait([self._delivery])
        # The other way may go on, and faults come and go: they find nothing to write to here.
        self._is_over = True
        self._sink.write_eof()

    def stop(self) -> None:
        """Deliver nothing more, and wait for nothing."""
        self._reading.stay_open()
        if self._delivery is not None:
            self._delivery.cancel()

    async def _read(self) -> bytes:
        await self._reading.passed()
        await self._link.passed()
        failure: OSError | None = None
        try:
            data = await self._source.read(CHUNK_BYTES)
        except OSError as error:
            failure = error
        # Neither bytes nor an end get through while the link is held.
        await self._reading.passed()
        await self._link.passed()
        if failure is not None:
            raise failure
        return data

    def _shaped(self, data: bytes) -> list[Piece]:
        if self.stream is None or self._is_muted:
            return [Piece(data)]
        if self._close_code is not None:
            pieces = self.stream.feed(data, whole=True)
            if not self.stream.is_between:
                return pieces
            self._emit(b"".join(piece.data for piece in pieces if not piece.is_message))
            self._say_close()
            return []
        pieces = self.stream.feed(data, whole=bool(self._toxics))
        for toxic in self._toxics.values():
            pieces = toxic.passes(pieces)
        return pieces

    def _say_close(self) -> None:
        assert self._close_code is not None
        self._emit(close_frame(self._close_code, "the simulator closed it"))
        self._is_muted = True
        self._cut(False)  # noqa: FBT003 - not a reset: what was sent arrives

    def _emit(self, data: bytes) -> None:
        if not data or self._is_muted:
            return
        if not self._paces and not self._queue:
            self._write(data)
            return
        now_ms = time.monotonic_ns() / 1e6
        slices = self._pace.due(data, now_ms, self._paces.values())
        self._queue += slices
        self._queued_bytes += len(data)
        if self._queued_bytes > QUEUE_BYTES_MAX:
            self._room.clear()
        if self._delivery is None or self._delivery.done():
            self._delivery = asyncio.create_task(self._deliver())

    async def _deliver(self) -> None:
        try:
            while self._queue:
                await self._link.passed()
                await self._until(self._queue[0][0])
                _, part = self._queue.popleft()
                self._queued_bytes -= len(part)
                self._write(part)
                await self._sink.drain()
                if self._queued_bytes <= QUEUE_BYTES_MAX:
                    self._room.set()
        except OSError:
            self._cut(True)  # noqa: FBT003 - a reset
        finally:
            self._room.set()

    async def _until(self, due_ms: float) -> None:
        while self._paces and (left_ms := due_ms - time.monotonic_ns() / 1e6) > 0:
            self._hurry.clear()
            try:
                async with asyncio.timeout(left_ms / 1_000):
                    await self._hurry.wait()
            except TimeoutError:
                return

    def _write(self, data: bytes) -> None:
        if self._is_over:
            return
        if not self._limits:
            self._sink.write(data)
            return
        left, resets = min(self._limits.values())
        self._sink.write(data[:left])
        for owner, (mine, how) in self._limits.items():
            self._limits[owner] = (max(0, mine - len(data)), how)
        if len(data) > left:
            self._is_muted = True
            self._queue.clear()
            self._queued_bytes = 0
            self._cut(resets)
