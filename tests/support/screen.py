"""Runs the viewer's application over a fake engine, and reads its screen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Final

from textual.pilot import Pilot

from tests.support.fake_engine import EPOCH_MS, FakeControls, FakeEngine
from tui.render.line_format import TimeMode
from tui.screen.app import ViewerApp
from tui.screen.columns import NO_COLUMNS, FirstColumns
from tui.screen.ports import Catalogue

NOW_MS: Final = EPOCH_MS + 60_000
NARROW: Final = (80, 24)
WIDE: Final = (120, 40)

SETTLES_MAX: Final = 10
"""How often to draw a screen until it stays as it is."""


class Screen:
    """A running application, driven by keys and read as text."""

    def __init__(self, app: ViewerApp, engine: FakeEngine, pilot: Pilot[None]) -> None:
        self.app = app
        self.engine = engine
        self.pilot = pilot

    async def settle(self) -> None:
        """Draw the current state without waiting for the next frame or tick."""
        self.app.show_now()
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        """Press keys one after the other, until all is drawn."""
        await self.pilot.press(*keys)
        for _ in range(2):  # a worker may start another one
            await self.app.workers.wait_for_complete()
            await self.pilot._wait_for_screen()
        await self.settle()
        for _ in range(SETTLES_MAX):  # a screen that has just been opened is laid out in steps
            before = self.text
            await self.settle()
            if self.text == before:
                return

    async def type(self, text: str) -> None:
        """Type a text into the focused widget, then Enter."""
        await self.press(*({" ": "space"}.get(char, char) for char in text), "enter")

    @property
    def lines(self) -> list[str]:
        """The lines of the screen from top to bottom."""
        strips = self.app.screen._compositor.render_strips()
        return [strip.text for strip in strips]

    @property
    def text(self) -> str:
        """The screen as one text."""
        return "\n".join(self.lines)

    @property
    def raw(self) -> str:
        """The bytes of a full redraw, as text."""
        update = self.app.screen._compositor.render_full_update()
        return update.render_segments(self.app.console)

    def line_with(self, text: str) -> str:
        """Find the first line of the screen that contains a text."""
        return next(line for line in self.lines if text in line)


@asynccontextmanager
async def running(
    engine: FakeEngine | None = None,
    *,
    size: tuple[int, int] = NARROW,
    controls: FakeControls | None = None,
    theme: str | None = None,
    now_ms: int = NOW_MS,
    zone: tzinfo = UTC,
    time_mode: TimeMode = TimeMode.UTC,
    bookmarks_path: Path | None = None,
    columns: FirstColumns = NO_COLUMNS,
    catalogue: Catalogue | None = None,
    title: str = "/gapless/demo",
    notifications: bool = False,
) -> AsyncIterator[Screen]:
    """Run an application at a fixed time.

    ``notifications`` shows messages above the status line, which vanish by the machine's clock.
    """
    engine = engine or FakeEngine()
    app = ViewerApp(
        engine,
        title=title,
        controls=controls,
        theme=theme,
        clock=lambda: now_ms,
        zone=zone,
        time_mode=time_mode,
        bookmarks_path=bookmarks_path,
        columns=columns,
        catalogue=catalogue,
    )
    async with app.run_test(size=size, notifications=notifications) as pilot:
        screen = Screen(app, engine, pilot)
        await screen.settle()
        yield screen
