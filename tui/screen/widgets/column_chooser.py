"""The column chooser: turns fields of the lines into columns, and puts the columns in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input

from tui.render import line_format as fmt
from tui.render.fields import FIELDS_MAX, SeenField
from tui.render.palette import Palette
from tui.render.safe_text import harmless
from tui.screen.widgets.modals import Modal
from tui.screen.widgets.panes import ListItem, ListPane

_NAME_CELLS_MIN: Final = 12
_NUMBER_CELLS: Final = 9
"""Cells of ``[12] `` and of `` 94 %``."""


class ChooserField(Input):
    """The text to filter fields by; other keys go to the list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("down", "screen.by(1)", "Down"),
        ("up", "screen.by(-1)", "Up"),
        ("pagedown", "screen.page(1)", "Page down"),
        ("pageup", "screen.page(-1)", "Page up"),
        ("tab", "screen.switch", "Column on or off"),
        ("shift+up", "screen.shift(-1)", "Further left"),
        ("shift+down", "screen.shift(1)", "Further right"),
        ("escape", "screen.leave", "Close"),
    ]


class ChooserList(ListPane, can_focus=False):
    """The fields; the text field has the focus, so the cursor shows without it."""

    def _has_cursor(self, index: int) -> bool:
        return bool(self._items) and index == self._at

    def on_item_click(self, key: str, *, twice: bool) -> None:
        """Switch the column on or off; the second click of a double click does nothing."""
        screen = self.screen
        if isinstance(screen, ColumnChooser) and key and not twice:
            screen.action_switch(0)


class ColumnChooser(Modal[tuple[str, ...] | None]):
    """Lets the user choose columns; its result is their names, or None for no change.

    Args:
        palette: Styles.
        seen: The fields to choose from.
        names: The columns at the start.
        preview: Shows columns in the log behind while they are chosen.
    """

    def __init__(
        self,
        palette: Palette,
        seen: Sequence[SeenField],
        names: Sequence[str],
        preview: Callable[[Sequence[str]], None],
    ) -> None:
        super().__init__()
        self._palette = palette
        self._seen = seen
        self._before = tuple(names)
        self._names = list(names)
        self._preview = preview
        self._shown: list[SeenField] = []

    def compose(self) -> ComposeResult:
        """Lay out a field to type in over the list of fields."""
        hint = self._palette.adapt("Type to filter fields…")
        field = ChooserField(id="column-field", compact=True, placeholder=hint)
        field.cursor_blink = False
        pane = ChooserList(self._palette, id="column-list")
        pane.border_subtitle = self._palette.adapt("Tab on/off, Shift+↑↓ order, Enter, Esc")
        with Vertical(id="chooser"):
            yield field
            yield pane

    def on_mount(self) -> None:
        """List the fields."""
        for field in self.query(ChooserField):  # none if the chooser was closed already
            field.focus()
        self._fill(first=True)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter by the new text."""
        event.stop()
        self._fill(first=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Close with the chosen columns; if none was changed, switch the one under the cursor."""
        event.stop()
        if tuple(self._names) == self._before:
            self.action_switch(0)
        self.dismiss(tuple(self._names))

    def on_resize(self) -> None:
        """Fit the names to the new width."""
        self._fill()

    def action_by(self, rows: int) -> None:
        """Move the cursor by rows."""
        self._list.action_by(rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self._list.action_page(pages)

    def action_switch(self, rows: int = 1) -> None:
        """Switch the column under the cursor on or off, then move by ``rows``."""
        name = self._current()
        if name is None or not self.is_mounted:
            return
        if name in self._names:
            self._names.remove(name)
        elif len(self._names) < FIELDS_MAX:
            self._names.append(name)
        self._preview(self._names)
        self._fill()
        self._list.action_by(rows)

    def action_shift(self, steps: int) -> None:
        """Move the column under the cursor to the left (-1) or to the right (1)."""
        name = self._current()
        if name in self._names:
            at = self._names.index(name)
            to = min(max(0, at + steps), len(self._names) - 1)
            self._names.insert(to, self._names.pop(at))
            self._preview(self._names)
            self._fill()

    def action_leave(self) -> None:
        """Close, with the columns as they were."""
        self._preview(self._before)
        self.dismiss(None)

    @property
    def _list(self) -> ChooserList:
        return self.query_one(ChooserList)

    def _current(self) -> str | None:
        if not self.has("#column-list"):
            return None
        key = self._list.current
        return self._shown[int(key)].name if key and key.isdigit() else None

    def _fill(self, *, first: bool = False) -> None:
        if not self.has("#column-field", "#column-list"):
            return
        words = self.query_one(ChooserField).value.casefold().split()
        self._shown = [
            one for one in self._seen if all(word in one.name.casefold() for word in words)
        ]
        pane = self._list
        longest = max((cell_len(harmless(one.name)) for one in self._shown), default=0)
        cells = max(_NAME_CELLS_MIN, min(longest, pane.cells // 2))
        items = [self._item(str(at), one, cells) for at, one in enumerate(self._shown)]
        if not items:
            text = "No fields match" if self._seen else "The lines here have no fields"
            items = [ListItem("", ((f"    {text}", "muted"),))]
        chosen = f"{len(self._names)} of {len(self._seen)} fields"
        pane.border_title = f"columns: {chosen}"
        pane.show(items, first=first)

    def _item(self, key: str, one: SeenField, cells: int) -> ListItem:
        ascii_only = self._palette.ascii_only
        number = f"{self._names.index(one.name) + 1:>2}" if one.name in self._names else "  "
        name = harmless(one.name, ascii_only=ascii_only)
        name = name if cell_len(name) <= cells else fmt.fit(name, cells - 1) + "~"
        room = max(0, self._list.cells - cells - _NUMBER_CELLS - 2)
        samples = fmt.fit(harmless(one.samples, ascii_only=ascii_only), room)
        role = "key" if one.name in self._names else "muted"
        return ListItem(
            key,
            (
                (f"[{number}] ", role),
                (name + " " * (cells - cell_len(name)), "text"),
                (f" {one.share:4.0%}  ", "muted"),
                (samples, "muted"),
            ),
        )
