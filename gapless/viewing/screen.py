"""The viewer's application as the command runs it: with its filters, and its faults handed on.

Has what a screen shows judged every few seconds, while a simulator lends its judge.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver

from common.errors import EXIT_FAILURE, GaplessError
from tui.client.engine import Engine
from tui.lines.rows import Line, Rule
from tui.output.record import as_entry, header, outages, proofs
from tui.render.line_format import rule_text
from tui.screen.app import ViewerApp
from tui.screen.ports import Catalogue, Controls, ScenarioStatus
from wire.codec import encode


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
        engine: Engine,
        *,
        title: str,
        controls: Controls | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        level: str | None = None,
        bookmarks_path: Path | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        """As ``ViewerApp``, with the filters of the command line."""
        super().__init__(
            engine,
            title=title,
            controls=controls,
            bookmarks_path=bookmarks_path,
            catalogue=catalogue,
        )
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
            self.show_message(self.notice)

    def told(self, rules: Sequence[Rule]) -> None:
        """What came since the last run is said aloud: its rule is often far above the newest."""
        for rule in rules:
            if rule.kind == "resumed":
                self.show_message(rule_text(rule, self.display_zone)[0])

    def _handle_exception(self, error: Exception) -> None:
        # Textual's own; a test shows that it is still called.
        if self.fault is None:
            self.fault = error
        self.exit(return_code=EXIT_FAILURE)


EVERY_S: Final = 1.5
SHARE: Final = 9
"""So many times as long as a judgement took, none begins: it takes a tenth of the time at most."""

LINES_MAX: Final = 200_000
"""More are not judged, and that is said: the simulator reads them all, and has else to do."""

SLICE_ROWS: Final = 500
"""Lines written at once: some milliseconds, so that keys are answered in between."""


class Judge(Protocol):
    """Who knows what CloudWatch accepted."""

    @property
    def scenario(self) -> ScenarioStatus | None:
        """The scenario that is on; without one nobody is judged."""

    def judge(self, record: bytes, age_ms: int) -> None:
        """Judge a record that was begun so long ago; raises GaplessError where nobody answers."""

    def leave_off(self, why: str) -> None:
        """What was judged before is no verdict about what is on screen now."""


def why_not(lines: int, evicted: int) -> str:
    """Why a screen with so many lines in memory, and so many not, is not judged; empty: it is."""
    if lines > LINES_MAX:
        return f"not judged: more than {LINES_MAX:,} lines"
    return "not judged: some lines are not in memory" if evicted else ""


async def judge_on_and_on(engine: Engine, judge: Judge) -> None:
    """Until it is cancelled."""
    took_s = 0.0
    while True:
        await asyncio.sleep(max(EVERY_S, SHARE * took_s))
        if judge.scenario is None:
            continue
        why = why_not(engine.timeline.lines, engine.timeline.evicted)
        if why:
            judge.leave_off(why)
            continue
        began = time.monotonic()
        record = await _written(engine)
        age_ms = round((time.monotonic() - began) * 1_000)
        # What the simulator does not answer now, it may the next time.
        with contextlib.suppress(GaplessError):
            await asyncio.to_thread(judge.judge, record, age_ms)
        took_s = time.monotonic() - began


async def _written(engine: Engine) -> bytes:
    """The record, a slice at a time.

    What is proved is written first: what comes while lines are gathered makes no mark a liar.
    """
    engine.merge()
    status, timeline = engine.status, engine.timeline
    parts = [header(engine, status), *proofs(engine, status)]
    written = [_lines(parts)]
    key = -1
    while rows := timeline.rows(at := timeline.index_of(key + 1), at + SLICE_ROWS):
        key = rows[-1].key
        written.append(_lines([as_entry(engine, row) for row in rows if isinstance(row, Line)]))
        await asyncio.sleep(0)
    return b"".join([*written, _lines(outages(status))])


def _lines(entries: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(encode(entry) + b"\n" for entry in entries)
