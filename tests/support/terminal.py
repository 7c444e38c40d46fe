"""A terminal that is the same for everyone who runs the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import pytest
from textual.app import App
from textual.pilot import Pilot

from tests.support.parts import WAIT_S


@pytest.fixture(autouse=True)
def same_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the terminal in which the tests run shows in what they see."""
    for name in ("NO_COLOR", "COLORFGBG", "TEXTUAL_THEME", "TEXTUAL_FILTERS", "UNICODE_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")


ROUNDS: Final = 4
"""A message makes others, of whoever is next on its way up or down the tree, this far."""

_wait_for_screen = Pilot._wait_for_screen
_press_keys = App._press_keys


@pytest.fixture(autouse=True)
def patient_pilot(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a key does is done before the next one, also on a busy machine.

    Textual's own pilot goes on once the process uses no CPU time, as one does that gets none.
    And what is told for some seconds is told for longer than a test takes.
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
