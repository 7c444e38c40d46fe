"""An application in colours that suit its terminal: what the viewer and the picker share."""

from __future__ import annotations

import os

from textual import events
from textual.app import App

from tui.render import themes
from tui.render.naming import pasted
from tui.render.palette import Depth, Palette, Tones
from tui.screen import terminal


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
        for one in (themes.DARK, themes.LIGHT):
            self.register_theme(one)
        own = themes.LIGHT.name if terminal.is_light() else themes.DARK.name
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
        tones = Tones.of(self.get_css_variables(), dark=self.current_theme.dark)
        depth: Depth = "ansi" if self.native_ansi_color else "full"
        return Palette(tones, "none" if self.no_color else depth, ascii_only=self._ascii_only)
