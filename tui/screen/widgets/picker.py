"""The picker: log groups and executions by a few letters of their names, several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import UTC, tzinfo
from typing import ClassVar, Final

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input

from tui.render import line_format as fmt
from tui.render import units
from tui.render.palette import Palette
from tui.render.safe_text import Segment, harmless
from tui.screen.ports import Catalogue, CatalogueError, Choice, ranked
from tui.screen.widgets.modals import Modal
from tui.screen.widgets.panes import Item, ListPane

_NOTE_CELLS: Final = 34
_EXECUTIONS_AT_ONCE: Final = 8
"""Targets whose executions are listed from the start; those of others when asked for."""


class PickField(Input):
    """What is typed; the keys that go up and down belong to the list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("down", "screen.by(1)", "Down"),
        ("up", "screen.by(-1)", "Up"),
        ("pagedown", "screen.page(1)", "Page down"),
        ("pageup", "screen.page(-1)", "Page up"),
        ("tab", "screen.mark", "Mark"),
        ("right", "deeper", "Its executions"),
        ("left", "back", "Back"),
        ("escape", "screen.leave", "Close"),
    ]

    async def action_deeper(self) -> None:
        """At the end of what is typed: what the row under the cursor has."""
        if self.cursor_position >= len(self.value):
            await self.run_action("screen.deeper")
        else:
            self.action_cursor_right()

    async def action_back(self) -> None:
        """At the beginning of what is typed: back to everything."""
        if self.cursor_position == 0:
            await self.run_action("screen.back")
        else:
            self.action_cursor_left()


class PickList(ListPane, can_focus=False):
    """The rows; what is typed has the focus, so the cursor shows without it."""

    def _is_marked(self, index: int) -> bool:
        return bool(self._items) and index == self._at

    def picked(self, key: str, *, twice: bool) -> None:
        """A click marks, two open."""
        screen = self.screen
        if isinstance(screen, Picker) and key:
            screen.clicked(twice=twice)


class Picker(Modal[tuple[Choice, ...] | None]):
    """Asks what to open; the answer is empty or None where nothing is."""

    def __init__(
        self,
        palette: Palette,
        catalogue: Catalogue,
        *,
        zone: tzinfo = UTC,
        ascii_only: bool = False,
    ) -> None:
        """A picker of what a catalogue has.

        Args:
            palette: the styles.
            catalogue: finds out what there is.
            zone: of the times.
            ascii_only: cut names with ASCII.

        """
        super().__init__()
        self._palette = palette
        self._catalogue = catalogue
        self._zone = zone
        self._ascii_only = ascii_only
        self._all: list[Choice] = list(catalogue.here)
        self._shown: list[Choice] = []
        self._marked: dict[Choice, None] = {}
        self._inside: str | None = None
        self._asked: set[str] = set()
        self._asking = 0
        self._wrong: dict[str, str] = {}
        self._has_moved = False

    def compose(self) -> ComposeResult:
        """A field over a list."""
        field = PickField(id="pick-field", compact=True, placeholder="letters of its name")
        field.cursor_blink = False
        pane = PickList(self._palette, id="pick-list")
        arrow = "->" if self._ascii_only else "→"
        pane.border_subtitle = f"Enter opens, Tab marks, {arrow} executions, Esc closes"
        with Vertical(id="picker"):
            yield field
            yield pane

    async def on_mount(self) -> None:
        """Ask for everything at once."""
        for field in self.query(PickField):  # none where it is being left already
            field.focus()
        self._ask("log groups", self._catalogue.groups())
        for choice in self._catalogue.here[:_EXECUTIONS_AT_ONCE]:
            self._ask_executions(choice.target)
        self._fill(first=True)

    def _ask_executions(self, target: str) -> None:
        if target not in self._asked:
            self._asked.add(target)
            self._ask(f"executions of {target}", self._catalogue.executions(target))

    def _ask(self, what: str, asked: Awaitable[Sequence[Choice]]) -> None:
        self._asking += 1
        self.run_worker(self._take(what, asked), group=what)

    async def _take(self, what: str, asked: Awaitable[Sequence[Choice]]) -> None:
        self._wrong.pop(what, None)
        try:
            known = set(self._all)
            self._all += [one for one in await asked if one not in known]
        except CatalogueError as error:
            self._wrong[what] = f"{what}: {error}"
        finally:
            self._asking -= 1
        await asyncio.sleep(0)
        self._fill()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Other letters: the best of what they mean is at the top."""
        event.stop()
        self._fill(first=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter opens what is marked, or else the row under the cursor."""
        event.stop()
        current = self._current()
        chosen = tuple(self._marked) or (() if current is None else (current,))
        if chosen:
            self.dismiss(chosen)

    def on_resize(self) -> None:
        """Names take another room."""
        self._fill()

    def clicked(self, *, twice: bool) -> None:
        """The row under the cursor was clicked."""
        current = self._current()
        if twice and current is not None:
            self.dismiss((current,))
        else:
            self.action_mark(0)

    def action_by(self, rows: int) -> None:
        """Up or down."""
        self._has_moved = True
        self._list.action_by(rows)

    def action_page(self, pages: int) -> None:
        """A page up or down."""
        self._has_moved = True
        self._list.action_page(pages)

    def action_mark(self, rows: int = 1) -> None:
        """Mark the row under the cursor, or take the mark off, and go on."""
        current = self._current()
        self._has_moved = True
        if current is not None:
            if current in self._marked:
                del self._marked[current]
            else:
                self._marked[current] = None
            self._fill()
            self._list.action_by(rows)

    def action_deeper(self) -> None:
        """The executions of the target under the cursor."""
        current = self._current()
        if current is not None and self._inside is None:
            self._inside = current.target
            self._ask_executions(current.target)
            self.query_one(PickField).value = ""
            self._fill(first=True)

    def action_back(self) -> None:
        """Back to everything."""
        if self._inside is not None:
            self._inside = None
            self._fill(first=True)

    def action_leave(self) -> None:
        """Back to everything, or else close."""
        if self._inside is not None:
            self.action_back()
        else:
            self.dismiss(None)

    @property
    def _list(self) -> PickList:
        return self.query_one(PickList)

    def _current(self) -> Choice | None:
        if not self.has("#pick-list"):
            return None
        key = self._list.current
        return self._shown[int(key)] if key and key.isdigit() else None

    def _fill(self, *, first: bool = False) -> None:
        """Show what the letters mean, and what is still to come."""
        if not self.has("#pick-field", "#pick-list"):
            return
        # What comes while nobody has moved yet may well be what is at the top.
        self._has_moved = self._has_moved and not first
        first = not self._has_moved
        inside = self._inside
        choices = [one for one in self._all if inside in (None, one.target)]
        before = self._current()
        self._shown = ranked(choices, self.query_one(PickField).value)
        items = [self._item(str(index), one) for index, one in enumerate(self._shown)]
        if self._asking:
            items.append(Item("", (("    asking …", "muted"),)))
        items += [
            Item(f"wrong {what}", ((f"    {harmless(said)}", "bad"),))
            for what, said in self._wrong.items()
        ]
        if not items:
            items = [Item("", (("    nothing has such a name", "muted"),))]
        pane = self._list
        pane.border_title = self._title(len(choices))
        pane.show(items, first=first)
        if not first and before in self._shown:
            pane.action_to(self._shown.index(before))

    def _title(self, count: int) -> str:
        said = f"{units.number(len(self._shown))} of {units.number(count)}"
        return f"open: {said}" + (f", {len(self._marked)} marked" if self._marked else "")

    def _item(self, key: str, choice: Choice) -> Item:
        cells = max(8, self._list.cells - 4 - _NOTE_CELLS)
        name = fmt.stream_text(choice.name, cells, ascii_only=self._ascii_only)
        newest = choice.newest_ms
        when = "" if newest is None else units.stamp(newest, self._zone)[5:16]
        note = fmt.fit(harmless(choice.note), max(0, _NOTE_CELLS - 3 - len(when)))
        pad = " " * max(0, _NOTE_CELLS - 1 - cell_len(note) - len(when))
        is_marked = choice in self._marked
        parts: tuple[Segment, ...] = (
            ("[x] " if is_marked else "[ ] ", "key" if is_marked else "muted"),
            (name, "text" if choice.execution is None else "accent"),
            (f" {note}{pad}", "muted"),
            (when, "time"),
        )
        return Item(key, parts)
