"""A tab's viewer: a process of its own, which ends with the tab; and the checks of its requests.

A page's viewer can save files and switch faults, so three checks protect it: the server listens
on loopback only; its address has a secret, so that other users of the machine cannot open it; and
another page can neither give our address another name (``Host``, against DNS rebinding) nor open
our WebSocket (``Origin``, RFC 6455 10.2).
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

_LOOPBACK_HOST: Final = re.compile(
    r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE
)
"""Names of this machine that no DNS server can redefine. The port may differ from ours:
``ssh -L`` brings the page to another machine."""

COLUMNS_MAX: Final = 1_000
ROWS_MAX: Final = 500
"""Largest window; the cost of a frame grows with its area."""

MESSAGE_BYTES_MAX: Final = 1 << 20
"""Longest text that can be pasted at once."""

_MIN: Final = 1
_DEFAULT_SIZE: Final = (80, 24)


class Typed(msgspec.Struct, frozen=True):
    """Keys, mouse and pasted text, as a terminal sends them."""

    data: bytes


class Resized(msgspec.Struct, frozen=True):
    """The window has a new size, in cells."""

    columns: int
    rows: int


class Focused(msgspec.Struct, frozen=True):
    """The window gained or lost the focus."""

    is_in: bool


class Pinged(msgspec.Struct, frozen=True):
    """A ping, to be answered with the same text."""

    text: str


TabMessage = Typed | Resized | Focused | Pinged


def is_of_this_machine(host: str | None) -> bool:
    """Whether a ``Host`` header names loopback: 127.0.0.1 or localhost, with any port."""
    return host is not None and _LOOPBACK_HOST.fullmatch(host) is not None


def is_our_page(origin: str | None, host: str | None) -> bool:
    """Return whether an ``Origin`` header is that of the page itself.

    Browsers send it with every WebSocket; a client without it is not a browser, and needs the
    secret all the same.
    """
    return origin is None or (host is not None and origin == f"http://{host}")


def is_secret(given: str, secret: str) -> bool:
    """Return whether an address has the secret; compares in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def window_size(columns: object, rows: object) -> tuple[int, int]:
    """Return the size of a window in cells, within bounds; the default if it is not a number."""
    return (
        _bounded(columns, COLUMNS_MAX, _DEFAULT_SIZE[0]),
        _bounded(rows, ROWS_MAX, _DEFAULT_SIZE[1]),
    )


def parse_message(text: str) -> TabMessage | None:
    """Parse a message of textual-serve's page, ``[kind, value]`` as JSON; None if it is invalid."""
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    match message:
        case ["stdin", str(data), *_]:
            return Typed(data.encode("utf-8", "replace"))
        case ["resize", {"width": columns, "height": rows}, *_]:
            return Resized(*window_size(columns, rows))
        case ["focus" | "blur" as kind, *_]:
            return Focused(kind == "focus")
        case ["ping", str(echo), *_]:
            return Pinged(echo)
        case _:
            return None


def _bounded(value: object, largest: int, default: int) -> int:
    try:
        number = int(value) if isinstance(value, int | str) else default
    except ValueError:
        return default
    return min(max(number, _MIN), largest)


END_S: Final = 5.0
"""Longest wait for the viewer to quit when asked; again after SIGTERM."""

_DRIVER: Final = "gapless.web.viewer_tab:BrowserDriver"
_TERMINAL: Final = {
    "TERM": "xterm-256color",
    "COLORTERM": "truecolor",
    "PYTHONIOENCODING": "utf-8",
    "TEXTUAL_DRIVER": _DRIVER,
    "TEXTUAL_COLOR_SYSTEM": "truecolor",
}
"""The browser draws, whatever terminal the command was started in."""

_FOREIGN: Final = ("COLORFGBG", "LINES")
"""Variables that describe the terminal and do not apply to the browser."""


class Tab(AppService):
    """One tab's viewer process, reached through textual-serve's packets.

    Args:
        arguments: Arguments of the ``gapless`` command to run.
        send: Sends a frame to the browser; a closed tab is no error.
    """

    def __init__(self, arguments: Sequence[str], send: Callable[[bytes], Awaitable[None]]) -> None:
        super().__init__(
            "",
            write_bytes=send,
            write_str=_drop_text,
            close=_ignore_close,
            download_manager=DownloadManager(),
        )
        self._arguments = tuple(arguments)

    async def show(self, columns: int, rows: int) -> None:
        """Start the viewer in a window of this size, in cells.

        Raises:
            OSError: no process can be started.
        """
        await self.start(columns, rows)

    async def ended(self) -> None:
        """Wait until the viewer's output has ended."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def handle(self, message: TabMessage) -> str | None:
        """Pass a message to the viewer; return the answer for the page, if any."""
        match message:
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
        """Ask the viewer to quit, then send SIGTERM, then SIGKILL; return once it has ended."""
        process = self._process
        if process is None:
            return
        # Tasks of their own: textual-serve swallows cancellation, so a timeout cannot end it.
        works = [asyncio.create_task(self.stop()), asyncio.create_task(process.wait())]
        for send_signal in (None, process.terminate, process.kill):
            if send_signal is not None:
                with contextlib.suppress(ProcessLookupError):
                    send_signal()
            await asyncio.wait(works, timeout=END_S)
            if process.returncode is not None:
                break
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        """Start the process as textual-serve does, but without a shell.

        In a session of its own Ctrl+C in the terminal does not reach it: it ends with its tab.
        This overrides a private method; a test shows that it is still called.
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


async def _drop_text(text: str) -> None:
    """Drop textual-serve's requests to open pages or deliver files: the viewer makes none."""
    del text


async def _ignore_close() -> None:
    """Do nothing: the server closes the socket itself."""


PRELUDE = b"__GANGLION__\n"
"""First output of a screen, which textual-serve waits for."""


class BrowserDriver(WebDriver):
    """Draws in a tab: packets on stdout, keys and sizes on stdin.

    Opening other executions shows another screen in the same process: the prelude is sent only
    once, the window keeps its size, and only the end of the process ends the tab.
    """

    has_begun: ClassVar[bool] = False
    window: ClassVar[tuple[int, int] | None] = None
    """The last size that the browser sent, in cells."""

    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Start with the size of the screen before."""
        super().__init__(app, debug=debug, mouse=mouse, size=size or self.window)
        self._is_closed = False
        self._write = self._send  # type: ignore[assignment]  # a partial of os.write, which it replaces

    def stop_application_mode(self) -> None:
        """End the screen, and wait a moment until its thread reads no more.

        Two threads that find the same input readable would both read: one takes a key of the next
        screen, or waits in the read for good, and the process for it at its end.
        """
        super().stop_application_mode()
        if self._key_thread.is_alive():
            self._key_thread.join()

    def write_meta(self, data: dict[str, object]) -> None:
        """Write metadata, but not the end of a screen: another one may follow."""
        if data.get("type") != "exit":
            super().write_meta(data)

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        """Handle metadata; keep the size for the next screen."""
        super().on_meta(packet_type, payload)
        if packet_type == "resize" and self._size is not None:
            BrowserDriver.window = self._size

    def _send(self, data: bytes) -> int:
        """Write all of it: after a write cut short by a signal the packets would be garbage."""
        if data == PRELUDE:
            if BrowserDriver.has_begun:
                return 0
            BrowserDriver.has_begun = True
        rest = memoryview(b"" if self._is_closed else data)
        try:
            while rest:
                rest = rest[os.write(self.fileno, rest) :]
        except OSError:
            self._is_closed = True
            os.kill(os.getpid(), signal.SIGHUP)  # as a closed terminal does
        return len(data)
