from __future__ import annotations

import asyncio
from random import Random
from typing import cast

from simulator.network.direction import QUEUE_BYTES_MAX, Direction, Gate
from simulator.network.toxics import Latency
from tests.support.processes.gapless_processes import WAIT_S


class Source:
    """Gives more at once than may wait for delivery, then nothing more."""

    def __init__(self) -> None:
        self._left = [b"", bytes(2 * QUEUE_BYTES_MAX)]

    async def read(self, _: int) -> bytes:
        return self._left.pop()


class Sink:
    """Stops the direction, as a reset does, when its queue is full and nothing is delivered yet."""

    direction: Direction

    async def drain(self) -> None:
        self.direction.stop()

    def write_eof(self) -> None:
        """Nobody reads it."""


async def test_one_that_is_stopped_with_a_full_queue_ends() -> None:
    sink = Sink()
    ends = (cast("asyncio.StreamReader", Source()), cast("asyncio.StreamWriter", sink))
    one = Direction(ends, Gate(), Random(1), lambda _: None, lambda _: None, is_down=False)
    sink.direction = one
    one.apply_strain("a", Latency(86_400_000, 0), Random(1))
    async with asyncio.timeout(WAIT_S):
        await one.run()
