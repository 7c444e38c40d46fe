"""One direction of a connection through the cable, and the strains on it.

Without strains, bytes are written as they are read. Delayed bytes wait in a bounded queue.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
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
"""Most delayed bytes per direction; beyond it reading stops, as on a real link."""


class Gate:
    """A gate that is open unless an owner holds it closed."""

    def __init__(self) -> None:
        self._holders: set[str] = set()
        self._is_broken = False
        self._open = asyncio.Event()
        self._open.set()

    def hold(self, owner: str) -> None:
        """Close the gate for ``owner``."""
        if not self._is_broken:
            self._holders.add(owner)
            self._open.clear()

    def stay_open(self) -> None:
        """Open the gate for good, because the connection ends."""
        self._is_broken = True
        self._holders.clear()
        self._open.set()

    def release(self, owner: str) -> None:
        """Open the gate, unless another owner holds it."""
        self._holders.discard(owner)
        if not self._holders:
            self._open.set()

    async def wait_open(self) -> None:
        """Wait until the gate is open."""
        await self._open.wait()


class Direction:
    """Passes bytes on until their source ends; used from one event loop."""

    def __init__(
        self,
        ends: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        link: Gate,
        rng: Random,
        cut: Callable[[bool], None],
        affect: Callable[[str], None],
        *,
        is_down: bool,
    ) -> None:
        """Connect the first of ``ends`` to the second.

        Args:
            ends: Source and destination.
            link: Closed while nothing passes in either direction.
            rng: Draws the jitter.
            cut: Ends the connection, by a reset if called with True.
            affect: Counts what the strain of an owner does.
            is_down: Whether this is the direction from the server to the viewer.
        """
        self._source, self._sink = ends
        self._link = link
        self._reading = Gate()
        self._cut = cut
        self._affect = affect
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

    def apply_strain(self, owner: str, strain: Strain, rng: Random) -> None:
        """Apply a strain from now on; it replaces the owner's earlier one."""
        self.remove_strain(owner)
        if isinstance(strain, (Latency, Bandwidth)):
            self._paces[owner] = strain
        elif self.stream is None:
            return
        elif isinstance(strain, FrameStrain):
            self._toxics[owner] = FrameToxic(strain, rng, partial(self._affect, owner))
        elif isinstance(strain, Limit):
            self._limits[owner] = (strain.after_bytes, strain.resets)
        elif isinstance(strain, Hold) and not strain.both_ways:
            self._reading.hold(owner)

    def remove_strain(self, owner: str) -> None:
        """Remove the owner's strain; bytes that it delayed pass at once."""
        self._limits.pop(owner, None)
        self._reading.release(owner)
        toxic = self._toxics.pop(owner, None)
        if toxic is not None:
            self._release([toxic], is_all=not self._toxics)
        if self._paces.pop(owner, None) is not None and not self._paces:
            self._pace.reset()
            self._hurry.set()

    def _release(self, toxics: Iterable[FrameToxic], *, is_all: bool) -> None:
        """Pass on what the toxics hold back; with ``is_all`` also a partial frame."""
        self._emit(b"".join(piece.data for toxic in toxics for piece in toxic.release()))
        if is_all and self.stream is not None:
            self._emit(self.stream.release())

    def mute(self) -> None:
        """Keep reading, but discard the bytes."""
        self._is_muted = True

    def close_with(self, code: int) -> None:
        """Send a close frame at the end of the current frame, and nothing after it."""
        if self.stream is None or not self.stream.is_websocket:
            return
        self._close_code = code
        if self.stream.is_at_frame_end:
            self._send_close()

    async def run(self) -> None:
        """Pass bytes on until the source ends, then end the destination.

        Raises:
            OSError: One of the ends is gone.
        """
        while data := await self._read():
            for piece in self._apply_toxics(data):
                self._emit(piece.data)
            await self._sink.drain()
            await self._room.wait()
        self._release(self._toxics.values(), is_all=True)
        if self._delivery is not None:
            await asyncio.wait([self._delivery])
        # The other direction may continue; later faults must not write to this one.
        self._is_over = True
        self._sink.write_eof()

    def stop(self) -> None:
        """Discard the bytes that wait for delivery, and hold ``run`` back no longer."""
        self._reading.stay_open()
        # A delivery that is cancelled before its first step does not do so itself.
        self._room.set()
        if self._delivery is not None:
            self._delivery.cancel()

    async def _read(self) -> bytes:
        await self._reading.wait_open()
        await self._link.wait_open()
        failure: OSError | None = None
        try:
            data = await self._source.read(CHUNK_BYTES)
        except OSError as error:
            failure = error
        # Neither bytes nor the end of the stream may pass while the link is held.
        await self._reading.wait_open()
        await self._link.wait_open()
        if failure is not None:
            raise failure
        return data

    def _apply_toxics(self, data: bytes) -> list[Piece]:
        if self.stream is None or self._is_muted:
            return [Piece(data)]
        if self._close_code is not None:
            pieces = self.stream.feed(data, whole=True)
            if not self.stream.is_at_frame_end:
                return pieces
            self._emit(b"".join(piece.data for piece in pieces if not piece.is_message))
            self._send_close()
            return []
        pieces = self.stream.feed(data, whole=bool(self._toxics))
        for toxic in self._toxics.values():
            pieces = toxic.apply(pieces)
        return pieces

    def _send_close(self) -> None:
        assert self._close_code is not None
        self._emit(close_frame(self._close_code, "the simulator closed it"))
        self._is_muted = True
        self._cut(False)  # noqa: FBT003 - no reset: what was sent arrives

    def _emit(self, data: bytes) -> None:
        if not data or self._is_muted:
            return
        if not self._paces and not self._queue:
            self._write(data)
            return
        for owner in self._paces:
            self._affect(owner)
        now_ms = time.monotonic_ns() / 1e6
        slices = self._pace.schedule(data, now_ms, self._paces.values())
        self._queue += slices
        self._queued_bytes += len(data)
        if self._queued_bytes > QUEUE_BYTES_MAX:
            self._room.clear()
        if self._delivery is None or self._delivery.done():
            self._delivery = asyncio.create_task(self._deliver())

    async def _deliver(self) -> None:
        try:
            while self._queue:
                await self._link.wait_open()
                await self._wait_until(self._queue[0][0])
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

    async def _wait_until(self, due_ms: float) -> None:
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
            if len(data) > left == mine:
                self._affect(owner)
        if len(data) > left:
            self._is_muted = True
            self._queue.clear()
            self._queued_bytes = 0
            self._cut(resets)
