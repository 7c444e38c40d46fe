"""The help: every key, what the signs mean, and where the keys depart from less and lnav."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen

from tui.palette import Palette
from tui.report import help_report
from tui.widgets.pane import Pane


class HelpPanel(ModalScreen[None]):
    """A pane over the log; the log goes on behind it."""

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
        pane.border_subtitle = "arrows scroll; Esc closes"
        yield pane

    def on_mount(self) -> None:
        """Fill the pane."""
        self.query_one(Pane).show("help", help_report(controls=self._controls), anew=True)

    def action_by(self, lines: int) -> None:
        """Scroll."""
        self.query_one(Pane).scroll_relative(y=lines, animate=False)
