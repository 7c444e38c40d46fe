"""A tab's viewer: a process of its own, which ends with the tab, whatever state it is in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from common.processes import environment
from gapless.web.asking import Focused, Pinged, Resized, Said, Typed

END_S: Final = 5.0
"""How long the viewer may take to leave when it is asked to; again after SIGTERM."""

_DRIVER: Final = "gapless.web.driver:BrowserDriver"
_TERMINAL: Final = {
    "TERM": "xterm-256color",
    "COLORTERM": "truecolor",
    "PYTHONIOENCODING": "utf-8",
    "TEXTUAL_DRIVER": _DRIVER,
    "TEXTUAL_COLOR_SYSTEM": "truecolor",
}
"""What draws is the browser, whatever terminal the command was typed in."""

_FOREIGN: Final = ("COLORFGBG", "LINES")
"""Says of that terminal what is not true of the browser."""


class Tab(AppService):
    """One tab's viewer, behind textual-serve's packets."""

    def __init__(self, arguments: Sequence[str], send: Callable[[bytes], Awaitable[None]]) -> None:
        """Made for one WebSocket.

        Args:
            arguments: Of the ``gapless`` that shows it.
            send: Gives a frame to the browser; a tab that has gone is no error.

        """
        super().__init__(
            "",
            write_bytes=send,
            write_str=_to_nobody,
            close=_never,
            download_manager=DownloadManager(),
        )
        self._arguments = tuple(arguments)

    async def show(self, columns: int, rows: int) -> None:
        """Start the viewer, in a window of so many cells.

        Raises:
            OSError: there can't be another process.

        """
        await self.start(columns, rows)

    async def ended(self) -> None:
        """Wait until the viewer has said all that it will."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def tell(self, said: Said) -> str | None:
        """Hand on what the page sent; the answer that it waits for, if any."""
        match said:
            case Typed(data):
                await self.send_bytes(data)
            case Resized(columns, rows):
                await self.set_terminal_size(columns, rows)
            case Focused(is_in):
                await (self.focus() if is_in else self.blur())
            case Pinged(text):
                return text
        return None

    async def end(self) -> None:
        """Ask it to leave, then tell it to, then make it; returns once it is gone."""
        process = self._process
        if process is None:
            return
        # Tasks of their own: textual-serve swallows cancellation, and with it any time limit.
        works = [asyncio.create_task(self.stop()), asyncio.create_task(process.wait())]
        for harder in (None, process.terminate, process.kill):
            if harder is not None:
                with contextlib.suppress(ProcessLookupError):
                    harder()
            await asyncio.wait(works, timeout=END_S)
            if process.returncode is not None:
                break
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        """As textual-serve's, without a shell; a test shows that it is still called.

        In a session of its own it gets no Ctrl+C of the terminal's: it ends with its tab.
        """
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gapless", *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(width, height),
            start_new_session=True,
        )
        self._stdin = process.stdin
        return process


def _environment(columns: int, rows: int) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    return {**environment(ours), **_TERMINAL, "COLUMNS": str(columns), "ROWS": str(rows)}


async def _to_nobody(text: str) -> None:
    """Opening pages and handing out files is nothing that the viewer does."""
    del text


async def _never() -> None:
    """Its socket is closed by whoever opened it."""
