"""Each action by its key and by the command menu, which the mouse opens: both do the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.support.fake_engine import FakeControls, FakeEngine, busy_lines
from tests.support.screen import Screen, running
from tui.render import key_bindings
from tui.render.key_bindings import Action

Way = Callable[[Screen, Action], Awaitable[None]]

ELSEWHERE = ("leave", "suspend_process", "command_palette")
"""Actions that end or suspend the screen, or open the menu, have tests of their own."""

OPENING = ("search", "include", "exclude", "jump", "save", "faults", "help", "columns")
"""Actions that open a field, into which the next key would be typed."""


async def by_key(screen: Screen, action: Action) -> None:
    await screen.press(action.keys.split(",")[0])


async def by_menu(screen: Screen, action: Action) -> None:
    commands = screen.app.get_system_commands(screen.app.screen)
    command = next(one for one in commands if one.title == action.title)
    screen.app.call_later(command.callback)
    await screen.press()


async def pictures(way: Way) -> AsyncIterator[tuple[str, str]]:
    """Yields the screen after each action in turn, and after Esc."""
    engine = FakeEngine()
    engine.add(busy_lines(60))
    async with running(engine, controls=FakeControls()) as screen:
        await screen.press("k")
        for key in key_bindings.available(with_simulator=True):
            for action in key.actions:
                if action.action not in ELSEWHERE:
                    await way(screen, action)
                    yield action.title, screen.text
                    if action.action in OPENING:
                        await screen.press("escape")
        assert engine.reconnects == 1


async def test_the_menu_does_what_the_keys_do() -> None:
    expected = [shown async for shown in pictures(by_key)]
    found = [shown async for shown in pictures(by_menu)]
    offered = key_bindings.available(with_simulator=True)
    with_actions = [key for key in offered if key.actions]
    assert len(expected) == len(found) > len(with_actions)
    for (title, picture), (_, seen) in zip(expected, found, strict=True):
        assert seen == picture, title


async def test_suspending(monkeypatch: pytest.MonkeyPatch) -> None:
    actions = [action for key in key_bindings.KEYS for action in key.actions]
    suspends = next(action for action in actions if action.action == "suspend_process")
    async with running() as screen:
        asked: list[bool] = []
        monkeypatch.setattr(screen.app, "action_suspend_process", lambda: asked.append(True))
        await screen.press("ctrl+z")
        await by_menu(screen, suspends)
        assert len(asked) == 2


async def test_the_mouse_reaches_the_menu_on_a_narrow_screen() -> None:
    async with running(controls=FakeControls()) as screen:
        at = screen.lines[-1].index("^P menu")
        await screen.pilot.click("#key-bar", offset=(at, 0))
        await screen.settle()
        assert "Type to filter actions…" in screen.text
