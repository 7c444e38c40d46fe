"""A screen over the log that is left once, however often somebody asks.

Textual takes the topmost screen away at each ``dismiss``: keys that come faster than a panel
closes would take away what is below it, and end with an exception at the last one.

The help: every key, what the signs mean, and where the keys depart from less and lnav.

The menu of all actions (Ctrl+P): Textual's, for people who type faster than it closes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar, Final

from textual import events
from textual.app import ComposeResult, ScreenStackError
from textual.await_complete import AwaitComplete
from textual.binding import BindingType
from textual.command import CommandList, CommandPalette, SearchIcon
from textual.css.query import NoMatches
from textual.message import Message
from textual.screen import ModalScreen, Screen, ScreenResultType
from textual.widgets import Button, Input, OptionList

from tui.render.palette import Palette
from tui.render.panel_text import help_actions, help_report
from tui.screen.widgets.panes import Pane, suit


def is_on_top(screen: Screen[ScreenResultType]) -> bool:
    """Whether it is the screen that keys are for."""
    try:
        return screen.app.screen is screen
    except ScreenStackError:
        return False


def nothing() -> AwaitComplete:
    """What there is to wait for where nothing is done."""
    done: AwaitComplete = AwaitComplete.nothing()  # type: ignore[no-untyped-call]  # Textual's
    return done


def leave_later(screen: Screen[ScreenResultType], result: ScreenResultType | None) -> AwaitComplete:
    """Leave a screen as soon as it is there."""

    def leave() -> None:  # what dismiss returns must not be awaited by the screen itself
        screen.dismiss(result)

    screen.call_later(leave)
    return nothing()


class Modal(ModalScreen[ScreenResultType]):
    """Leaves only where it is the topmost screen, and then once."""

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """As Textual's; nothing where it is left already, and not before it is there."""
        if not self.is_mounted:
            return leave_later(self, result)
        return super().dismiss(result) if is_on_top(self) else nothing()

    def has(self, *selectors: str) -> bool:
        """Whether these parts are there to be filled: they come after it, and go before it."""
        return self.is_mounted and all(self.query(one) for one in selectors)


class HelpPanel(Modal[str]):
    """A pane over the log; the log goes on behind it. Its result: the action that was clicked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,question_mark,f1,q", "dismiss", "Close"),
        ("j", "by(1)", "Down"),
        ("k", "by(-1)", "Up"),
    ]

    def __init__(self, palette: Palette, *, controls: bool) -> None:
        """The help for the keys that do something here."""
        super().__init__()
        self._palette = palette
        self._controls = controls

    def compose(self) -> ComposeResult:
        """The pane."""
        pane = Pane(self._palette, id="help")
        pane.border_subtitle = "arrows scroll, a click on a key does it, Esc closes"
        yield pane

    def on_mount(self) -> None:
        """Fill the pane."""
        for pane in self.query(Pane):  # none where it is being left already
            pane.show("help", help_report(controls=self._controls), anew=True)

    def on_click(self, event: events.Click) -> None:
        """Do what the key does that was clicked: so every action is within the mouse's reach."""
        pane = self.query_one(Pane)
        action = help_actions(controls=self._controls).get(pane.line_at(event))
        if action is not None:
            self.dismiss(action)

    def action_by(self, lines: int) -> None:
        """Scroll."""
        self.query_one(Pane).scroll_relative(y=lines, animate=False)


_TYPED: Final = (Input.Changed, Input.Submitted, OptionList.OptionSelected, Button.Pressed)


class Commands(CommandPalette):
    """Hears of nothing more once it is left: what it would act on is not there any more."""

    def on_mount(self) -> None:
        """Draw with what the terminal has; it may have been left before it was there."""
        for found in self.query(CommandList):
            suit(found)
        for icon in self.query(SearchIcon) if self.app.has_class("-ascii") else ():
            icon.icon = ">"

    def dismiss(self, result: None = None) -> AwaitComplete:
        """As ``Modal``'s; nothing is shown later."""
        if not self.is_mounted:
            return leave_later(self, result)
        self._stop_no_matches_countdown()
        self._stop_busy_countdown()
        return super().dismiss(result) if is_on_top(self) else nothing()

    def _action_command_list(self, action: str) -> None:
        # Textual looks for the row of a command that it has not laid out yet: then nobody sees it.
        with suppress(KeyError, NoMatches):
            super()._action_command_list(action)

    async def _on_message(self, message: Message) -> None:
        # Textual's own; a test shows that it is still called.
        if isinstance(message, _TYPED) and not is_on_top(self):
            message.stop()
            return
        await super()._on_message(message)
