"""Textual's web driver, made to outlast one screen and a browser that has gone."""

from __future__ import annotations

import os
import signal
from typing import Any, ClassVar

from textual.app import App
from textual.drivers.web_driver import WebDriver

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
