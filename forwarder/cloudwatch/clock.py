"""The wall clock, one that is never set, one that is wrong on purpose, and one that is held back.

The third is for simulations, which must show that no event is lost by it.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from forwarder.cloudwatch.servertime import ServerTime
from forwarder.errors import ConfigError

_BYTES: Final = 8


def wall_clock_ms() -> int:
    """Milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def timer_ms() -> int:
    """Milliseconds of a clock that is never set, for intervals."""
    return time.monotonic_ns() // 1_000_000


def clock_of(skew: Path | None) -> Callable[[], int]:
    """The wall clock in ms since the Unix epoch.

    Args:
        skew: a file of eight bytes that says by how many ms it is ahead (a signed number, least
            significant byte first), looked at each time; None = it is right.

    Raises:
        ConfigError: the file is not like that.

    """
    if skew is None:
        return wall_clock_ms
    try:
        with skew.open("rb") as file:
            # Mapped, since the clock is looked at for every event.
            shared = mmap.mmap(file.fileno(), _BYTES, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        msg = f"--clock-skew {skew} can't be used ({error}): it must have {_BYTES} bytes"
        raise ConfigError(msg) from error
    return lambda: wall_clock_ms() + int.from_bytes(shared[:_BYTES], "little", signed=True)


def held_back(
    clock: Callable[[], int], server: ServerTime, timer: Callable[[], int] = timer_ms
) -> Callable[[], int]:
    """The wall clock, but never ahead of CloudWatch's as far as its answers have told that.

    What is told to viewers to be complete goes by this: no scan has seen what is still to come.

    Args:
        clock: the wall clock, ms since the Unix epoch.
        server: what the answers told.
        timer: ms of a clock that is never set.

    """

    def now_ms() -> int:
        wall_ms, most_ms = clock(), server.at_most(timer())
        return wall_ms if most_ms is None else min(wall_ms, most_ms)

    return now_ms
