"""The picker on its own, where nothing is watched yet."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.screen import terminal
from tui.screen.choices import Catalogue, Choice
from tui.screen.theme import ThemedApp
from tui.screen.widgets.picker import Picker


class PickApp(ThemedApp):
    """Asks what to open, and ends with the answer in ``chosen``."""

    CSS_PATH = str(Path(__file__).with_name("app.tcss"))
    TITLE = "gapless"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True)
    ]

    def __init__(self, catalogue: Catalogue) -> None:
        """A picker of what a catalogue has."""
        super().__init__()
        self._catalogue = catalogue
        self.chosen: tuple[Choice, ...] = ()
        """What was chosen; nothing, where the picker was left."""

    def compose(self) -> ComposeResult:
        """Nothing stands behind the picker."""
        return []

    def on_mount(self) -> None:
        """Ask at once."""
        zone = terminal.local_zone()
        picker = Picker(self._palette, self._catalogue, zone=zone, ascii_only=self._ascii_only)
        self.push_screen(picker, self._answered)

    def _answered(self, chosen: tuple[Choice, ...] | None) -> None:
        self.chosen = chosen or ()
        self.exit()
