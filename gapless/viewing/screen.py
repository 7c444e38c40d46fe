"""The viewer's application as the command runs it: with its filters, and its faults handed on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver

from common.errors import EXIT_FAILURE
from tui.lines.rows import Rule
from tui.render.line_format import rule_text
from tui.screen.app import ViewerApp
from tui.screen.choices import Catalogue
from tui.screen.controls import Controls
from tui.screen.ports import ViewerEngine


class ClearingDriver(LinuxDriver):
    """Clears its screen before it leaves it, and draws where there is a terminal.

    tmux that was resized in both directions meanwhile otherwise leaves the viewer's last picture
    where the shell's screen was. Textual draws on stderr, which may be a file (``2>errors``).
    """

    _is_shown = False

    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        """As Textual's."""
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        if sys.__stderr__ is None or not sys.__stderr__.isatty():
            self._file = sys.__stdout__

    def start_application_mode(self) -> None:
        """As Textual's."""
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's
        self._is_shown = True

    def stop_application_mode(self) -> None:
        """As Textual's, but never clear the shell's screen."""
        if self._is_shown:
            self.write("\x1b[0m\x1b[2J")
        self._is_shown = False
        super().stop_application_mode()


class ScreenApp(ViewerApp):
    """Leaves in order where it meets a fault of its own, instead of printing a traceback."""

    def __init__(
        self,
        engine: ViewerEngine,
        *,
        title: str,
        controls: Controls | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        level: str | None = None,
        keep: Path | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        """As ``ViewerApp``, with the filters of the command line."""
        super().__init__(engine, title=title, controls=controls, keep=keep, catalogue=catalogue)
        self.notice = ""
        """What is told as soon as there is a screen."""
        self.fault: Exception | None = None
        """What went wrong in the application itself."""
        self._include = include
        self._exclude = exclude
        self._level = level

    def get_driver_class(self) -> type[Driver]:
        """The usual one, but for what is left on screen."""
        usual = super().get_driver_class()
        return ClearingDriver if usual is LinuxDriver else usual

    def on_ready(self) -> None:
        """Begin with the filters, as chips that can be taken off."""
        self.filter_by(self._include, self._exclude, self._level)
        if self.notice:
            self._say(self.notice)

    def told(self, rules: Sequence[Rule]) -> None:
        """What came since the last run is said aloud: its rule is often far above the newest."""
        for rule in rules:
            if rule.kind == "resumed":
                self._say(rule_text(rule, self._zone_shown)[0])

    def _handle_exception(self, error: Exception) -> None:
        # Textual's own; a test shows that it is still called.
        if self.fault is None:
            self.fault = error
        self.exit(return_code=EXIT_FAILURE)
