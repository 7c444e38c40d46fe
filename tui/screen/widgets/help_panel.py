"""The help: every key, what the signs mean, and where the keys depart from less and lnav."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType

from tui.render.palette import Palette
from tui.render.panel_text import help_actions, help_report
from tui.screen.widgets.modals import Modal
from tui.screen.widgets.panes import Pane


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
