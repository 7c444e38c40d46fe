"""Keys that arrive faster than they are handled mean what they mean when typed slowly."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from textual import events
from textual.command import CommandList
from textual.widgets import Input

from tests.support.fake_catalogue import FakeCatalogue
from tests.support.fake_engine import FakeControls, FakeEngine, make_line
from tests.support.screen import Screen, running
from tui.screen.widgets.faults import FaultPanel
from tui.screen.widgets.modals import CommandMenu
from tui.screen.widgets.picker import Picker


def engine() -> FakeEngine:
    found = FakeEngine()
    found.add([make_line(1, "INFO one")])
    return found


async def hurry(screen: Screen, *keys: str) -> None:
    """Presses keys that all arrive before the first is handled."""
    for key in keys:
        screen.app.post_message(events.Key(key, key if len(key) == 1 else None))
    await screen.pilot.pause()
    await screen.settle()


@pytest.mark.parametrize(
    ("below", "opens"),
    [("", "question_mark"), ("", "f2"), ("", "o"), ("", "ctrl+p"), ("question_mark", "ctrl+p")],
)
async def test_closing_twice_closes_once(below: str, opens: str) -> None:
    controls = FakeControls()
    async with running(engine(), controls=controls, catalogue=FakeCatalogue()) as screen:
        if below:
            await screen.press(below)
        await screen.press(opens)
        before = len(screen.app.screen_stack)
        await hurry(screen, "escape", "escape", "escape")
        assert len(screen.app.screen_stack) == before - 1
        assert screen.app.is_running


@pytest.mark.parametrize("opens", ["help", "faults", "open", "command_palette"])
async def test_a_panel_closed_before_it_is_mounted(opens: str) -> None:
    controls = FakeControls()
    async with running(engine(), controls=controls, catalogue=FakeCatalogue()) as screen:
        await screen.app.run_action(opens)
        panel = screen.app.screen
        assert len(screen.app.screen_stack) == 2
        assert not panel.is_mounted
        panel.dismiss()
        await screen.pilot.pause()
        assert len(screen.app.screen_stack) == 1


async def test_input_to_a_closed_menu_is_ignored() -> None:
    async with running(engine()) as screen:
        await screen.press("ctrl+p", *"wrap")
        palette = screen.app.screen
        assert isinstance(palette, CommandMenu)
        field = palette.query_one(Input)
        palette._action_escape()
        palette.post_message(Input.Changed(field, "wrap"))
        palette.post_message(Input.Submitted(field, "wrap"))
        palette._action_escape()
        await screen.pilot.pause()
        await screen.settle()
        assert len(screen.app.screen_stack) == 1
        assert screen.app.is_running


async def test_paging_in_a_menu_that_is_not_laid_out_yet() -> None:
    async with running(engine()) as screen:
        await screen.press("ctrl+p")
        palette = screen.app.screen
        assert isinstance(palette, CommandMenu)
        rows = palette.query_one(CommandList)
        rows.highlighted = 1
        with patch.object(CommandList, "_index_to_line", {}):
            palette._action_command_list("page_down")
        await screen.press("pagedown", "escape")
        assert len(screen.app.screen_stack) == 1


@pytest.mark.parametrize("opens", ["f2", "o"])
async def test_an_answer_that_arrives_while_a_panel_closes_is_not_shown(opens: str) -> None:
    controls, catalogue = FakeControls(), FakeCatalogue(slow=True)
    async with running(engine(), controls=controls, catalogue=catalogue) as screen:
        await screen.pilot.press(opens)
        panel = screen.app.screen
        assert isinstance(panel, Picker | FaultPanel)
        await panel.query_children("*").remove()
        panel._fill()
        catalogue.may_answer.set()
        await screen.app.workers.wait_for_complete()
        if isinstance(panel, Picker):
            panel.on_input_submitted(Input.Submitted(Input(), ""))
        await screen.pilot.pause()
        assert screen.app.is_running


@pytest.mark.parametrize(
    ("slowly", "fast"), [("wrap", ["enter", "enter"]), ("", ["w", "r", "a", "p", "enter"])]
)
async def test_enter_runs_the_typed_command_once(slowly: str, fast: list[str]) -> None:
    async with running(engine()) as screen:
        await screen.press("ctrl+p", *slowly)
        await hurry(screen, *fast)
        assert len(screen.app.screen_stack) == 1
        assert screen.app.log_view._strips.appearance.wrapped


async def test_enter_runs_nothing_where_nothing_was_found() -> None:
    async with running(engine()) as screen:
        await screen.press("ctrl+p")
        await hurry(screen, *"no such action", "enter")
        assert isinstance(screen.app.screen, CommandMenu)
        assert not screen.app.log_view._strips.appearance.wrapped
        await hurry(screen, "enter", "escape")
        assert len(screen.app.screen_stack) == 1


@pytest.mark.parametrize("opens", ["slash", "f", "x", "colon", "ctrl+s"])
async def test_what_is_typed_at_once_goes_into_the_prompt(opens: str) -> None:
    async with running(engine(), controls=FakeControls(), catalogue=FakeCatalogue()) as screen:
        await hurry(screen, opens, "ctrl+u", *"soon?a", "backspace", "q")
        assert screen.app.is_running
        assert len(screen.app.screen_stack) == 1, "no letter of it opened anything"
        assert screen.app.query_one("#prompt-field", Input).value == "soon?q"


async def test_a_search_typed_at_once_is_the_search_typed_slowly() -> None:
    found = engine()
    found.add([make_line(number, f"INFO quarter {number}") for number in range(2, 5)])
    async with running(found) as screen:
        await hurry(screen, "slash", *"quarter", "enter")
        assert screen.app.is_running
        assert "/quarter 3/3" in screen.line_with("NOT VERIFIED")
