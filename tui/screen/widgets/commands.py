"""The menu of all actions (Ctrl+P): Textual's, for people who type faster than it closes."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from textual.await_complete import AwaitComplete
from textual.command import CommandList, CommandPalette, SearchIcon
from textual.css.query import NoMatches
from textual.message import Message
from textual.widgets import Button, Input, OptionList

from tui.screen.widgets.modals import is_on_top, leave_later, nothing
from tui.screen.widgets.plain_bars import suit

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
