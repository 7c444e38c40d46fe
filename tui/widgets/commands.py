"""The menu of all actions (Ctrl+P): Textual's, for people who type faster than it closes."""

from __future__ import annotations

from typing import Final

from textual.await_complete import AwaitComplete
from textual.command import CommandList, CommandPalette, SearchIcon
from textual.message import Message
from textual.widgets import Button, Input, OptionList

from tui.widgets.once import is_on_top, nothing
from tui.widgets.plain_bars import suit

_TYPED: Final = (Input.Changed, Input.Submitted, OptionList.OptionSelected, Button.Pressed)


class Commands(CommandPalette):
    """Hears of nothing more once it is left: what it would act on is not there any more."""

    def on_mount(self) -> None:
        """Draw with what the terminal has."""
        suit(self.query_one(CommandList))
        if self.app.has_class("-ascii"):
            self.query_one(SearchIcon).icon = ">"

    def dismiss(self, result: None = None) -> AwaitComplete:
        """As Textual's; nothing where it is left already, and nothing is shown later."""
        self._stop_no_matches_countdown()
        self._stop_busy_countdown()
        return super().dismiss(result) if is_on_top(self) else nothing()

    async def _on_message(self, message: Message) -> None:
        # Textual's own; a test shows that it is still called.
        if isinstance(message, _TYPED) and not is_on_top(self):
            message.stop()
            return
        await super()._on_message(message)
