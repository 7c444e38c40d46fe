"""The picker: filters log groups and executions by what is typed, and opens one or several."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from fnmatch import fnmatchcase
from typing import ClassVar, Final, Literal

import msgspec
from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.fuzzy import FuzzySearch
from textual.widgets import Input

from tui.render import line_format as fmt
from tui.render import units
from tui.render.palette import Palette
from tui.render.safe_text import Segment, harmless
from tui.screen.ports import Catalogue, CatalogueError, Choice
from tui.screen.widgets.modals import Modal
from tui.screen.widgets.panes import ListItem, ListPane

CHOICES_MAX: Final = 1_000
"""Choices listed at once; typing narrows down more than that."""

_NOTE_CELLS: Final = 34
_EXECUTIONS_AT_ONCE: Final = 8
"""Open targets whose executions are listed from the start; for others the user asks."""

_PATTERN: Final = re.compile(r"[.\-_/#A-Za-z0-9*?]*[*?][.\-_/#A-Za-z0-9*?]*", re.ASCII)
"""A pattern of log groups' names."""

_FUZZY: Final = FuzzySearch(case_sensitive=True)


Order = Literal["last event", "name"]
ORDERS: Final[tuple[Order, ...]] = ("last event", "name")
"""Orders of the choices, in which ``Ctrl+O`` offers them."""


def rank_choices(
    choices: Iterable[Choice], typed: str, order: Order = "last event"
) -> list[Choice]:
    """The choices that match what was typed: best first, among equals in an order.

    Every word must occur in the name, in any case: as a piece of it, which ranks first, or as
    letters in their order.
    """
    words = typed.casefold().split()
    found: list[tuple[float, int, Choice]] = []
    for choice in choices:
        name = choice.name.casefold()
        scores = [_score(name, word) for word in words]
        if all(scores):
            newest_ms = choice.newest_ms or 0
            found.append((sum(scores), newest_ms if order == "last event" else 0, choice))
    found.sort(key=lambda one: (-one[0], -one[1], one[2].name))
    return [choice for *_, choice in found[:CHOICES_MAX]]


def match_pattern(
    choices: Iterable[Choice], pattern: str, here: Collection[Choice]
) -> list[Choice]:
    """The log groups whose whole names match a pattern, after the pattern itself.

    Opening the pattern opens them all, and those that are created later. ``here`` is what is open
    already: of that alone no pattern is offered.
    """
    groups = [
        one
        for one in choices
        if one.execution is None and fnmatchcase(one.name.rpartition(":")[2], pattern)
    ]
    if all(one in here for one in groups):
        return groups
    note = f"{units.plural(len(groups), 'log group')}, and new ones"
    return [Choice(pattern, None, pattern, note), *groups[:CHOICES_MAX]]


def _score(name: str, word: str) -> float:
    """Textual's fuzzy score of a word in a name; 0 if it does not match.

    ``FuzzySearch.match`` tries every way to place letters that are no piece of the name: 64 ms a
    name for ``stateset`` in names with many s, t and e. So they are placed leftmost here.
    """
    if word in name:
        return _FUZZY.match(word, name)[0]
    places: list[int] = []
    at = -1
    for letter in word:
        at = name.find(letter, at + 1)
        if at < 0:
            return 0
        places.append(at)
    return _FUZZY.score(name, places)


class PickerField(Input):
    """The text to filter by; keys that move up and down go to the list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("down", "screen.by(1)", "Down"),
        ("up", "screen.by(-1)", "Up"),
        ("pagedown", "screen.page(1)", "Page down"),
        ("pageup", "screen.page(-1)", "Page up"),
        ("tab", "screen.mark", "Mark"),
        ("right", "deeper", "Its executions"),
        ("left", "back", "Back"),
        ("ctrl+o", "screen.order", "Order"),
        ("escape", "screen.leave", "Close"),
    ]

    async def action_deeper(self) -> None:
        """Move right; at the end of the text, list the executions of the row under the cursor."""
        if self.cursor_position >= len(self.value):
            await self.run_action("screen.deeper")
        else:
            self.action_cursor_right()

    async def action_back(self) -> None:
        """Move left; at the start of the text, go back to all choices."""
        if self.cursor_position == 0:
            await self.run_action("screen.back")
        else:
            self.action_cursor_left()


class PickerList(ListPane, can_focus=False):
    """The choices; the field has the focus, so the cursor shows without it."""

    def _has_cursor(self, index: int) -> bool:
        return bool(self._items) and index == self._at

    def on_item_click(self, key: str, *, twice: bool) -> None:
        """Mark the row; a double click opens it."""
        screen = self.screen
        if isinstance(screen, Picker) and key:
            screen.click_row(twice=twice)


class Picker(Modal[tuple[Choice, ...] | None]):
    """Lets the user pick what to open; its result is None or empty if nothing was picked."""

    def __init__(self, palette: Palette, catalogue: Catalogue, *, zone: tzinfo = UTC) -> None:
        super().__init__()
        self._palette = palette
        self._catalogue = catalogue
        self._zone = zone
        self._all: list[Choice] = list(catalogue.open_now)
        self._shown: list[Choice] = []
        self._marked: dict[Choice, None] = {}
        self._inside: str | None = None
        self._requested: set[str] = set()
        self._loading = 0
        self._errors: dict[str, str] = {}
        self._has_moved = False
        self._order = ORDERS[0]
        self._last_events: Mapping[str, int] = {}

    def compose(self) -> ComposeResult:
        """Lay out a field to type in over the list of choices."""
        hint = self._palette.adapt("Type to filter log groups…")
        field = PickerField(id="pick-field", compact=True, placeholder=hint)
        field.cursor_blink = False
        pane = PickerList(self._palette, id="pick-list")
        arrow = "->" if self._palette.ascii_only else "→"
        pane.border_subtitle = (
            f"Enter opens, Tab marks, {arrow} executions, Ctrl+O sorts, Esc closes"
        )
        with Vertical(id="picker"):
            yield field
            yield pane

    async def on_mount(self) -> None:
        """Start loading log groups, and the executions of what is open."""
        for field in self.query(PickerField):  # none if the picker was closed already
            field.focus()
        self._load("log groups", self._catalogue.groups())
        self._load("last events", self._read_last_events())
        for choice in self._catalogue.open_now[:_EXECUTIONS_AT_ONCE]:
            self._load_executions(choice.target)
        self._fill(first=True)

    async def _read_last_events(self) -> Sequence[Choice]:
        self._last_events = await self._catalogue.last_events()
        return ()

    def _load_executions(self, target: str) -> None:
        if target not in self._requested:
            self._requested.add(target)
            self._load(f"executions of {target}", self._catalogue.executions(target))

    def _load(self, what: str, request: Awaitable[Sequence[Choice]]) -> None:
        self._loading += 1
        self.run_worker(self._add_answer(what, request), group=what)

    async def _add_answer(self, what: str, request: Awaitable[Sequence[Choice]]) -> None:
        self._errors.pop(what, None)
        try:
            found = await request
            known = {(one.target, one.execution) for one in self._all}
            self._all += [one for one in found if (one.target, one.execution) not in known]
            self._all = [self._dated(one) for one in self._all]
            self._marked = dict.fromkeys(map(self._dated, self._marked))
        except CatalogueError as error:
            self._errors[what] = f"{what}: {error}"
        finally:
            self._loading -= 1
        await asyncio.sleep(0)
        self._fill()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter by the new text, with the cursor on the best match."""
        event.stop()
        self._fill(first=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Open the marked rows, or else the row under the cursor."""
        event.stop()
        current = self._current()
        chosen = tuple(self._marked) or (() if current is None else (current,))
        if chosen:
            self.dismiss(chosen)

    def on_resize(self) -> None:
        """Fit the names to the new width."""
        self._fill()

    def click_row(self, *, twice: bool) -> None:
        """Mark the row under the cursor after a click; open it after a double click."""
        current = self._current()
        if twice and current is not None:
            self.dismiss((current,))
        else:
            self.action_mark(0)

    def action_by(self, rows: int) -> None:
        """Move the cursor by rows."""
        self._has_moved = True
        self._list.action_by(rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self._has_moved = True
        self._list.action_page(pages)

    def action_mark(self, rows: int = 1) -> None:
        """Mark or unmark the row under the cursor, then move by ``rows``."""
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
        """List only the executions of the target under the cursor."""
        current = self._current()
        if current is not None and self._inside is None:
            self._inside = current.target
            self._load_executions(current.target)
            self.query_one(PickerField).value = ""
            self._fill(first=True)

    def action_back(self) -> None:
        """List all choices again."""
        if self._inside is not None:
            self._inside = None
            self._fill(first=True)

    def action_order(self) -> None:
        """Sort by the time of the last event, or by name."""
        self._order = ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)]
        self._fill(first=True)

    def action_leave(self) -> None:
        """Go from a target's executions back to all choices, or else close the picker."""
        if self._inside is not None:
            self.action_back()
        else:
            self.dismiss(None)

    @property
    def _list(self) -> PickerList:
        return self.query_one(PickerList)

    def _current(self) -> Choice | None:
        if not self.has("#pick-list"):
            return None
        key = self._list.current
        return self._shown[int(key)] if key and key.isdigit() else None

    def _fill(self, *, first: bool = False) -> None:
        """Show the matching choices, and what is loading or failed to load."""
        if not self.has("#pick-field", "#pick-list"):
            return
        # Until the cursor has been moved it stays at the top, where better matches may arrive.
        self._has_moved = self._has_moved and not first
        first = not self._has_moved
        inside = self._inside
        choices = [one for one in self._all if inside in (None, one.target)]
        self.query_one(PickerField).border_title = self._place()
        current = self._current()
        before = None if current is None else self._dated(current)
        typed = self.query_one(PickerField).value
        is_pattern = inside is None and _PATTERN.fullmatch(typed) is not None
        self._shown = (
            match_pattern(choices, typed, self._catalogue.open_now)
            if is_pattern
            else rank_choices(choices, typed, self._order)
        )
        items = [self._item(str(index), one) for index, one in enumerate(self._shown)]
        if self._loading:
            items.append(ListItem("", (("    loading …", "muted"),)))
        items += [
            ListItem(f"error {what}", ((f"    {harmless(text)}", "bad"),))
            for what, text in self._errors.items()
        ]
        if not items:
            what = "log groups" if inside is None else "executions"
            text = f"    No {what} match: {harmless(typed)}" if typed else f"    No {what}"
            items = [ListItem("", ((text, "muted"),))]
        pane = self._list
        pane.border_title = self._title(len(choices))
        pane.show(items, first=first)
        if not first and before in self._shown:
            pane.action_to(self._shown.index(before))

    def _dated(self, choice: Choice) -> Choice:
        """A log group with the time of its last event."""
        last_ms = self._last_events.get(choice.target) if choice.execution is None else None
        return choice if last_ms is None else msgspec.structs.replace(choice, newest_ms=last_ms)

    def _place(self) -> str:
        place = harmless(self._catalogue.place)
        return self._palette.adapt(f"log groups of {place}" if place else "log groups")

    def _title(self, count: int) -> str:
        shown = f"{units.number(len(self._shown))} of {units.number(count)}"
        marked = f", {len(self._marked)} marked" if self._marked else ""
        return f"open: {shown}, by {self._order}{marked}"

    def _item(self, key: str, choice: Choice) -> ListItem:
        cells = max(8, self._list.cells - 4 - _NOTE_CELLS)
        name = fmt.stream_text(choice.name, cells, ascii_only=self._palette.ascii_only)
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
        return ListItem(key, parts)
