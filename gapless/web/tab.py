"""A tab's viewer: a process of its own, which ends with the tab, whatever state it is in.

What a browser may ask for, and what its tab says. Pure.

Whoever has the page has a viewer, which saves files and pulls cables. Hence three locks: the
page listens on this machine alone; its address has a secret, so that other users of the machine
can't open it; and a page of somebody else's can neither give our address another name (``Host``,
against DNS rebinding) nor open our WebSocket (``Origin``, RFC 6455 10.2).

Textual's web driver, made to outlast one screen and a browser that has gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import re
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Final

import msgspec
from textual.app import App
from textual.drivers.web_driver import WebDriver
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from common.processes import child_environment

_OURS: Final = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
"""What the machine is called in an address that nobody else can give a meaning to. The port may
be another one than ours: ``ssh -L`` brings the page to another machine."""

COLUMNS_MAX: Final = 1_000
ROWS_MAX: Final = 500
"""No window is larger; a frame's cost goes with its area."""

MESSAGE_BYTES_MAX: Final = 1 << 20
"""The longest text that may be pasted at once."""

_LEAST: Final = 1
_USUAL: Final = (80, 24)


class Typed(msgspec.Struct, frozen=True):
    """Keys, mouse and pasted text, as a terminal sends them."""

    data: bytes


class Resized(msgspec.Struct, frozen=True):
    """The window has room for so many cells."""

    columns: int
    rows: int


class Focused(msgspec.Struct, frozen=True):
    """The window is the one that is typed in, or is not any more."""

    is_in: bool


class Pinged(msgspec.Struct, frozen=True):
    """Wants to be answered, with the same text."""

    text: str


Said = Typed | Resized | Focused | Pinged


def is_of_this_machine(host: str | None) -> bool:
    """Whether a ``Host`` header is a name of this machine's own."""
    return host is not None and _OURS.fullmatch(host) is not None


def is_our_page(origin: str | None, host: str | None) -> bool:
    """Whether an ``Origin`` header is that of the page itself, as it was asked for.

    Browsers send it with every WebSocket; what sends none is no browser, and needs the secret
    like everybody.
    """
    return origin is None or (host is not None and origin == f"http://{host}")


def is_secret(given: str, secret: str) -> bool:
    """Whether an address has the secret; takes as long wherever the first difference is."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def size(columns: object, rows: object) -> tuple[int, int]:
    """The size of a window in cells, within bounds; the usual one where it is no number."""
    return _within(columns, COLUMNS_MAX, _USUAL[0]), _within(rows, ROWS_MAX, _USUAL[1])


def understand(text: str) -> Said | None:
    """What textual-serve's page sends: ``[kind, value]`` as JSON. None: nothing of the sort."""
    try:
        said = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    match said:
        case ["stdin", str(data), *_]:
            return Typed(data.encode("utf-8", "replace"))
        case ["resize", {"width": columns, "height": rows}, *_]:
            return Resized(*size(columns, rows))
        case ["focus" | "blur" as kind, *_]:
            return Focused(kind == "focus")
        case ["ping", str(echo), *_]:
            return Pinged(echo)
        case _:
            return None


def _within(value: object, most: int, usual: int) -> int:
    try:
        number = int(value) if isinstance(value, int | str) else usual
    except ValueError:
        return usual
    return min(max(number, _LEAST), most)


END_S: Final = 5.0
"""How long the viewer may take to leave when it is asked to; again after SIGTERM."""

_DRIVER: Final = "gapless.web.tab:BrowserDriver"
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
    return {**child_environment(ours), **_TERMINAL, "COLUMNS": str(columns), "ROWS": str(rows)}


async def _to_nobody(text: str) -> None:
    """Opening pages and handing out files is nothing that the viewer does."""
    del text


async def _never() -> None:
    """Its socket is closed by whoever opened it."""


PRELUDE = b"__GANGLION__\n"
"""What the first screen begins with, and textual-serve waits for."""


class BrowserDriver(WebDriver):
    """Draws in a tab: packets on standard output, keys and sizes on standard input.

    Whoever opens other executions gets another screen in the same process: the prelude is sent
    once, the window keeps its size, and only the end of the process is the end of the tab.
    """

    has_begun: ClassVar[bool] = False
    window: ClassVar[tuple[int, int] | None] = None
    """The size in cells that the browser told last."""

    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        """As Textual's."""
        super().__init__(app, debug=debug, mouse=mouse, size=size or self.window)
        self._is_left = False
        self._write = self._send  # type: ignore[assignment]  # a partial of os.write, which it replaces

    def write_meta(self, data: dict[str, object]) -> None:
        """As Textual's, but the end of a screen is not told: another one may follow."""
        if data.get("type") != "exit":
            super().write_meta(data)

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        """As Textual's; the size is kept for the next screen."""
        super().on_meta(packet_type, payload)
        if packet_type == "resize" and self._size is not None:
            BrowserDriver.window = self._size

    def _send(self, data: bytes) -> int:
        """Write all of it: a signal may cut one write short, and what follows would be garbage."""
        if data == PRELUDE:
            if BrowserDriver.has_begun:
                return 0
            BrowserDriver.has_begun = True
        rest = memoryview(b"" if self._is_left else data)
        try:
            while rest:
                rest = rest[os.write(self.fileno, rest) :]
        except OSError:
            self._is_left = True
            os.kill(os.getpid(), signal.SIGHUP)  # as with a terminal: nobody reads any more
        return len(data)
