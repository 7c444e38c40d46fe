"""An application in colours that suit its terminal: what the viewer and the picker share.

The picker on its own, where nothing is watched yet.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType

from tui.render import palette
from tui.render.palette import Depth, Palette, ThemeTones
from tui.render.panel_text import pasted
from tui.screen import terminal
from tui.screen.ports import Catalogue, Choice
from tui.screen.widgets.picker import Picker


class ThemedApp(App[None]):
    """Knows what the terminal can draw, and mixes the palette for it."""

    def __init__(self, theme: str | None = None) -> None:
        """Choose a theme.

        Args:
            theme: its name; by default one that suits the terminal.

        """
        no_color = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if no_color else None)
        self._ascii_only = terminal.is_ascii_only()
        self.set_class(self._ascii_only, "-ascii")
        for one in (palette.DARK, palette.LIGHT):
            self.register_theme(one)
        own = palette.LIGHT.name if terminal.is_light() else palette.DARK.name
        chosen = theme or os.environ.get("TEXTUAL_THEME") or own
        self.theme = "ansi-dark" if no_color else chosen
        self._palette = self._mix()

    @property
    def clipboard(self) -> str:
        """What Ctrl+V puts into a field: of what was copied, what can be drawn there as it is."""
        return pasted(super().clipboard)

    async def on_event(self, event: events.Event) -> None:
        """Nothing that is pasted reaches the terminal but what can be drawn as it is."""
        if isinstance(event, events.Paste):
            event.text = pasted(event.text)
        await super().on_event(event)

    def _mix(self) -> Palette:
        tones = ThemeTones.of(self.get_css_variables(), dark=self.current_theme.dark)
        depth: Depth = "ansi" if self.native_ansi_color else "full"
        return Palette(tones, "none" if self.no_color else depth, ascii_only=self._ascii_only)


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
