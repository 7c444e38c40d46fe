"""Writes the record that ``--record`` asks for, from a viewer on screen."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from common.errors import GaplessError
from gapless.terminal import say

if TYPE_CHECKING:
    from tui.client.engine import Engine

_MANY_LINES: Final = 100_000
"""Fetching more evicted lines than this takes seconds, and is announced."""


class ScreenRecord:
    """The record of what a screen shows, with its proof."""

    def __init__(self, path: Path | None, engine: Engine) -> None:
        """Write nothing yet; without a path nothing is ever written."""
        self._path = path
        self._engine = engine

    async def write_at_signals(self) -> None:
        """Write the record at each SIGUSR1, until cancelled."""
        requested = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, requested.set)
        try:
            while True:
                await requested.wait()
                requested.clear()
                await self._write_whole()
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)
            # The last record is written anyway; another signal must not kill this process.
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    async def write_last(self) -> None:
        """Write the record at once, and then again with the evicted lines, fetched for it.

        Raises:
            GaplessError: it cannot be written.
        """
        if self._path is None:
            return
        from tui.output.record import write_record  # noqa: PLC0415 - with the engine

        with _writing(self._path):
            write_record(self._path, self._engine)
        evicted = self._engine.timeline.evicted
        if evicted > _MANY_LINES:
            say(f"fetching {evicted:,} lines for the record; Ctrl+C leaves them out")
        if evicted:
            await self._write_whole()

    async def _write_whole(self) -> None:
        """Write the record with the evicted lines."""
        if self._path is None:
            return
        from tui.output.record import write_complete_record  # noqa: PLC0415 - with the engine

        with _writing(self._path):
            await write_complete_record(self._path, self._engine)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"cannot write the record {path} ({error.strerror}): choose another place"
        raise GaplessError(msg) from error
