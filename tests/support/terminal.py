"""Fixtures that make screen tests independent of the terminal and of the machine's load."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import pytest
from textual.app import App
from textual.pilot import Pilot

from tests.support.processes.gapless_processes import WAIT_S


@pytest.fixture(autouse=True)
def same_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the settings of the terminal in which the tests run."""
    for name in (
        "NO_COLOR",
        "COLORFGBG",
        "TEXTUAL_THEME",
        "TEXTUAL_FILTERS",
        "UNICODE_VERSION",
        "TMUX",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")


ROUNDS: Final = 4
"""Messages cause further messages up or down the widget tree, at most this many times."""

_wait_for_screen = Pilot._wait_for_screen
_press_keys = App._press_keys


@pytest.fixture(autouse=True)
def patient_pilot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finish the work of each key before the next one, even on a busy machine.

    Textual's own pilot continues once the process uses no CPU time, as happens when it gets none.
    Messages above the status line stay for longer than a test takes.
    """
    monkeypatch.setattr("tui.screen.app.MESSAGE_S_PER_CHAR", 60.0)
    monkeypatch.setattr(Pilot, "_wait_for_screen", _all_done)
    monkeypatch.setattr(App, "_press_keys", _one_by_one)


async def _all_done(pilot: Pilot[None], timeout: float = 0) -> bool:  # noqa: ASYNC109 - Textual's
    del timeout
    for _ in range(ROUNDS):
        await asyncio.sleep(0)
        if not await _wait_for_screen(pilot, WAIT_S):
            return False
    return True


async def _one_by_one(app: App[None], keys: Iterable[str]) -> None:
    for key in keys:
        await _press_keys(app, [key])
        await _all_done(Pilot(app))
