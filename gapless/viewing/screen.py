"""The viewer on screen: its Textual application, with the options' filters, and its record."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, Final

from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver

from common.errors import EXIT_FAILURE, GaplessError
from gapless.terminal import say
from tui.client.engine import Engine
from tui.lines.rows import Rule
from tui.output.record import write_complete_record, write_record
from tui.render.line_format import TimeMode, rule_text
from tui.screen.app import ViewerApp, now_ms
from tui.screen.columns import NO_COLUMNS, FirstColumns
from tui.screen.ports import Catalogue, Controls, Player, ShownEngine


class ClearingDriver(LinuxDriver):
    """Clears the alternate screen before leaving it, and draws on whichever stream is a terminal.

    Otherwise tmux, resized in both directions meanwhile, leaves the viewer's last frame where the
    shell's screen was. Textual draws on stderr, which may be a file (``2>errors``).

    A viewer that was stopped by SIGSTOP goes on with one input thread: at SIGCONT, Textual takes it
    for one that has left its screen, as for Ctrl+Z, and would start a second one. After the end
    nothing is started at all.
    """

    _is_shown = False
    _is_suspending = False
    _is_continuing = False

    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Draw on stdout if stderr is not a terminal."""
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        if sys.__stderr__ is None or not sys.__stderr__.isatty():
            self._file = sys.__stdout__

    def start_application_mode(self) -> None:
        """Note that the alternate screen is shown."""
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's
        self._is_shown = True

    def stop_application_mode(self) -> None:
        """Clear the alternate screen first, but never the shell's."""
        if not self._is_suspending:  # for good
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            signal.signal(signal.SIGCONT, signal.SIG_DFL)
        if self._is_shown:
            self.write("\x1b[0m\x1b[2J")
        self._is_shown = False
        super().stop_application_mode()

    def suspend_application_mode(self) -> None:
        """Leave the screen for a while."""
        self._is_suspending = True
        try:
            super().suspend_application_mode()
        finally:
            self._is_suspending = False

    def _sigcont_application(self, *args: object) -> None:
        # Overrides a private method of Textual; a test shows that it is still called.
        if self._is_continuing:  # stopped and continued once more meanwhile
            return
        if self._is_shown:
            self._is_continuing = self._must_signal_resume = True
            try:
                self.suspend_application_mode()
            finally:
                self._is_continuing = False
        super()._sigcont_application(*args)


class ScreenApp(ViewerApp):
    """The viewer's application; an exception ends it in order and is kept in ``fault``."""

    def __init__(  # noqa: PLR0913 - ViewerApp's, and the command line's filters
        self,
        engine: ShownEngine,
        *,
        title: str,
        controls: Controls | None = None,
        player: Player | None = None,
        clock: Callable[[], int] = now_ms,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        level: str | None = None,
        context_lines: int = 0,
        zone: tzinfo | None = None,
        bookmarks_path: Path | None = None,
        columns: FirstColumns = NO_COLUMNS,
        catalogue: Catalogue | None = None,
        notice: str = "",
    ) -> None:
        """Create the application.

        ``include``, ``exclude``, ``level`` and ``context_lines`` are the filters of the command
        line; ``zone`` is that of the times shown at first; ``notice`` is shown first.
        """
        super().__init__(
            engine,
            title=title,
            controls=controls,
            player=player,
            clock=clock,
            zone=None if zone is UTC else zone,
            time_mode=TimeMode.UTC if zone in (None, UTC) else TimeMode.LOCAL,
            bookmarks_path=bookmarks_path,
            columns=columns,
            catalogue=catalogue,
        )
        self.fault: Exception | None = None
        """The exception that ended the application."""
        self._notice = notice
        self._include = include
        self._exclude = exclude
        self._level = level
        self._context_lines = context_lines

    def get_driver_class(self) -> type[Driver]:
        """Use ``ClearingDriver`` in place of Textual's driver for Linux."""
        default = super().get_driver_class()
        return ClearingDriver if default is LinuxDriver else default

    def on_ready(self) -> None:
        """Apply the filters of the command line, as chips that the user can remove."""
        self.filter_by(self._include, self._exclude, self._level, self._context_lines)
        if self._notice:
            self.show_message(self._notice)

    def announce_resuming(self, rules: Sequence[Rule]) -> None:
        """Announce where the viewer resumed: that rule is often far above the newest line."""
        for rule in rules:
            if rule.kind == "resumed":
                self.show_message(rule_text(rule, self.display_zone)[0])

    def _handle_exception(self, error: Exception) -> None:
        # Overrides a private method of Textual; a test shows that it is still called.
        if self.fault is None:
            self.fault = error
        self.exit(return_code=EXIT_FAILURE)


_MANY_LINES: Final = 100_000
"""Fetching more evicted lines than this takes seconds, and is announced."""


class ScreenRecord:
    """Writes the file of ``--record`` from a viewer on screen; without a path it writes nothing."""

    def __init__(self, path: Path | None, engine: Engine) -> None:
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
        with _writing(self._path):
            await write_complete_record(self._path, self._engine)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"cannot write the record {path} ({error.strerror}): choose another place"
        raise GaplessError(msg) from error
