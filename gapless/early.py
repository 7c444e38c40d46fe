"""The first lines of a log, while what draws the screen is still being imported.

That takes longer than all the rest of a start. The engine, which needs none of it, connects first;
what has come is drawn as plain text between one part of the imports and the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Final

from gapless import skeleton
from tui import environment
from tui.engine import Engine
from tui.preview import preview, spans_days
from tui.rows import Rule

FIRST_S: Final = 0.03
"""A forwarder near by has sent its newest lines by then; nothing is imported meanwhile."""

_PAUSE_S: Final = 0.001
"""For what has come, between two parts."""

_PARTS: Final = ("rich.console", "textual.dom", "textual.widget", "textual.app", "gapless.screen")

Told = Callable[[Sequence[Rule]], None]


class Early:
    """Has an engine begin before there is a screen."""

    def __init__(self, engine: Engine, *, draws: bool) -> None:
        """Nothing is begun.

        Args:
            engine: connects, and brings lines.
            draws: whether all lines are shown, so that some can be drawn already.

        """
        self._engine = engine
        self._draws = draws and not environment.is_ascii_only()
        self._drawn: list[str] = []
        self._kept: list[Rule] = []
        self._told: Told = self._kept.extend
        engine.on_rules(self._tell)

    async def begin(self) -> None:
        """Connect, and draw what comes, until all that the screen needs is imported."""
        came = asyncio.Event()
        self._engine.on_lines(lambda _lines: came.set())
        await self._engine.start()
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_S):
                await came.wait()
        for part in _PARTS:
            self._draw()
            import_module(part)
            await asyncio.sleep(_PAUSE_S)
        self._draw()

    def hand_over(self, told: Told) -> None:
        """Rules are told to somebody else from now on, those that came before among them."""
        self._told = told
        if self._kept:
            told(self._kept)

    def _tell(self, rules: Sequence[Rule]) -> None:
        self._told(rules)

    def _draw(self) -> None:
        if not self._draws:
            return
        with suppress(OSError):  # the terminal is gone: the screen will say so
            columns, height = skeleton.size()
            self._engine.merge()
            timeline = self._engine.timeline
            rows = timeline.rows(max(0, len(timeline) - height), len(timeline))
            ends = timeline.rows(0, 1) + rows[-1:]
            lines = preview(rows, columns, dated=spans_days(ends))
            if lines != self._drawn:
                self._drawn = lines
                skeleton.fill(lines)
