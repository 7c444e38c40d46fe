"""Base of the applications: colours and glyphs that suit the terminal. Also the picker alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.timer import Timer, TimerCallback
from textual.widgets import Input

from common.times import local_zone
from tui.render import palette
from tui.render.palette import Depth, Palette, ThemeTones
from tui.render.panel_text import pasteable
from tui.screen import terminal
from tui.screen.ports import Catalogue, Choice
from tui.screen.widgets.picker import Picker


class ThemedApp(App[None]):
    """An application with a palette for what its terminal can draw."""

    def __init__(self, theme: str | None = None) -> None:
        no_color = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if no_color else None)
        self._ascii_only = terminal.is_ascii_only()
        self.set_class(self._ascii_only, "-ascii")
        for one in (palette.DARK, palette.LIGHT):
            self.register_theme(one)
        own = palette.LIGHT.name if terminal.is_light() else palette.DARK.name
        chosen = theme or os.environ.get("TEXTUAL_THEME") or own
        self.theme = "ansi-dark" if no_color else chosen
        self._palette = self._mix_palette()

    @property
    def clipboard(self) -> str:
        """The text that Ctrl+V inserts, without anything that would act on the terminal."""
        return pasteable(super().clipboard)

    def set_timer(
        self,
        delay: float,
        callback: TimerCallback | None = None,
        *,
        name: str | None = None,
        pause: bool = False,
    ) -> Timer:
        """Call a function after a delay, even if the program was held up for longer than that.

        Textual skips turns that are overdue when a timer starts, also the only turn of this one.
        Its timer of 8 ms for a new size of the terminal then never comes, on a busy machine, and no
        later size is drawn.
        """
        timer = super().set_timer(delay, callback, name=name, pause=pause)
        timer._skip = False  # noqa: SLF001 - set_timer has no parameter for it; its task runs later
        return timer

    async def on_event(self, event: events.Event) -> None:
        """Remove from pasted text what would act on the terminal; act on keys in their order.

        Textual passes a key through all widgets that have the focus before it looks for an action.
        Those that come meanwhile, over a slow line or by a paste, would be commands, although the
        first of them has opened a prompt for them.
        """
        if isinstance(event, events.Paste):
            event.text = pasteable(event.text)
        if isinstance(event, events.Key) and self._takes_commands():
            for is_priority in (True, False):
                if await self._check_bindings(event.key, priority=is_priority):
                    return
        await super().on_event(event)

    def _takes_commands(self) -> bool:
        """Whether no widget wants the text of keys, and none is still being mounted."""
        is_text = isinstance(self.focused, Input)
        return len(self.screen_stack) == 1 and self.focused is not None and not is_text

    def _mix_palette(self) -> Palette:
        tones = ThemeTones.of(self.get_css_variables(), dark=self.current_theme.dark)
        depth: Depth = "ansi" if self.native_ansi_color else "full"
        return Palette(tones, "none" if self.no_color else depth, ascii_only=self._ascii_only)


class PickerApp(ThemedApp):
    """The picker alone, for a viewer that has nothing to show yet; ends with ``chosen``."""

    CSS_PATH = str(Path(__file__).with_name("app.tcss"))
    TITLE = "gapless"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True)
    ]

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__()
        self._catalogue = catalogue
        self.chosen: tuple[Choice, ...] = ()
        """What the user picked; empty if the picker was closed."""

    def compose(self) -> ComposeResult:
        """Nothing: the picker is a screen of its own."""
        return []

    def on_mount(self) -> None:
        """Open the picker at once."""
        picker = Picker(self._palette, self._catalogue, zone=local_zone())
        self.push_screen(picker, self._end_with_choice)

    def _end_with_choice(self, chosen: tuple[Choice, ...] | None) -> None:
        self.chosen = chosen or ()
        self.exit()
