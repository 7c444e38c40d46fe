"""Screens over the log that close exactly once: their base class, the help, the command menu.

Textual's ``dismiss`` removes whichever screen is topmost: keys that arrive faster than a panel
closes would remove the screen below it, and raise an exception at the last one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import ClassVar, Final

from textual import events
from textual.app import ComposeResult, ScreenStackError
from textual.await_complete import AwaitComplete
from textual.binding import BindingType
from textual.command import CommandList, CommandPalette, SearchIcon
from textual.containers import Horizontal
from textual.css.query import NoMatches
from textual.message import Message
from textual.screen import ModalScreen, Screen, ScreenResultType
from textual.widgets import Button, Input, OptionList

from tui.render.palette import Palette
from tui.render.panel_text import help_actions, help_break, help_report
from tui.screen.widgets.panes import TextPane, adapt_scrollbar


def is_on_top(screen: Screen[ScreenResultType]) -> bool:
    """Whether the screen is the topmost one, which gets the keys."""
    try:
        return screen.app.screen is screen
    except ScreenStackError:
        return False


def _no_wait() -> AwaitComplete:
    done: AwaitComplete = AwaitComplete.nothing()  # type: ignore[no-untyped-call]  # Textual's
    return done


def _dismiss_once_mounted(
    screen: Screen[ScreenResultType], result: ScreenResultType | None
) -> AwaitComplete:
    def dismiss() -> None:  # a screen must not await what its own dismiss returns
        screen.dismiss(result)

    screen.call_later(dismiss)
    return _no_wait()


class Modal(ModalScreen[ScreenResultType]):
    """A screen whose ``dismiss`` acts only while it is the topmost one, and once."""

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Close with a result; waits until mounted, and does nothing if closed already."""
        if not self.is_mounted:
            return _dismiss_once_mounted(self, result)
        return super().dismiss(result) if is_on_top(self) else _no_wait()

    def has(self, *selectors: str) -> bool:
        """Whether these parts exist: they are mounted after the screen and removed before it."""
        return self.is_mounted and all(self.query(one) for one in selectors)


TWO_COLUMNS_CELLS: Final = 172
"""Width from which on the help has two columns, each as wide as its longest rows."""


class HelpPanel(Modal[str]):
    """Every key and sign; the log goes on behind. Its result is the action that was clicked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,question_mark,f1,q", "dismiss", "Close"),
        ("j", "by(1)", "Down"),
        ("k", "by(-1)", "Up"),
    ]

    def __init__(self, palette: Palette, *, controls: bool, in_replay: bool = False) -> None:
        super().__init__()
        self._palette = palette
        self._controls = controls
        self._in_replay = in_replay

    def compose(self) -> ComposeResult:
        """Lay out the pane."""
        pane = TextPane(self._palette, id="help")
        pane.border_subtitle = "arrows scroll, a click on a key does it, Esc closes"
        if self.app.size.width < TWO_COLUMNS_CELLS:
            yield pane
        else:
            with Horizontal(id="help-columns"):
                yield pane
                yield TextPane(self._palette, id="help-more")

    def on_mount(self) -> None:
        """Fill the pane."""
        for pane, (first, end) in self._parts():  # none if the help was closed already
            lines = help_report(with_simulator=self._controls, in_replay=self._in_replay)[first:end]
            pane.show("" if first else "help", lines, from_top=True)

    def on_click(self, event: events.Click) -> None:
        """Close, and run the action of the key that was clicked: the mouse reaches every action."""
        actions = help_actions(with_simulator=self._controls, in_replay=self._in_replay)
        for pane, (first, _) in self._parts():
            line = pane.line_at(event)
            action = None if line < 0 else actions.get(first + line)
            if action is not None:
                self.dismiss(action)

    def action_by(self, lines: int) -> None:
        """Scroll by lines."""
        for pane in self.query(TextPane):
            pane.scroll_relative(y=lines, animate=False)

    def _parts(self) -> Iterable[tuple[TextPane, tuple[int, int | None]]]:
        """The panes, and the lines of the help that each shows: the first, and behind the last."""
        panes = list(self.query(TextPane))
        middle = help_break(with_simulator=self._controls, in_replay=self._in_replay)
        ranges = [(0, None)] if len(panes) < 2 else [(0, middle), (middle, None)]  # noqa: PLR2004
        return zip(panes, ranges, strict=False)


_TYPED: Final = (Input.Changed, Input.Submitted, OptionList.OptionSelected, Button.Pressed)


class CommandMenu(CommandPalette):
    """Textual's menu of all actions, safe against keys that arrive too early or too late."""

    def on_mount(self) -> None:
        """Draw with ASCII if the terminal has no more; after an early close, parts are missing."""
        for found in self.query(CommandList):
            adapt_scrollbar(found)
        for icon in self.query(SearchIcon) if self.app.has_class("-ascii") else ():
            icon.icon = ">"

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Close as ``Modal`` does, and stop the timers that would still draw."""
        if not self.is_mounted:
            return _dismiss_once_mounted(self, result)
        self._stop_no_matches_countdown()
        self._stop_busy_countdown()
        return super().dismiss(result) if is_on_top(self) else _no_wait()

    def _action_command_list(self, action: str) -> None:
        # Textual looks up the row of a command that it may not have laid out yet.
        with suppress(KeyError, NoMatches):
            super()._action_command_list(action)

    async def _on_message(self, message: Message) -> None:
        # Overrides a private method of Textual; a test shows that it is still called.
        if isinstance(message, Input.Submitted):
            await self._wait_for_search()
        if isinstance(message, _TYPED) and not is_on_top(self):
            message.stop()
            return
        await super()._on_message(message)

    async def _wait_for_search(self) -> None:
        """Wait until the list matches the input; Textual would run a command of the old list."""
        searches = [
            one.wait()
            for one in self.workers
            if one.group == self._GATHER_COMMANDS_GROUP and not one.is_finished
        ]
        await asyncio.gather(*searches, return_exceptions=True)  # some are cancelled
