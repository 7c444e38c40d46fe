"""The streams, each in its colour, with its lines and a switch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from rich.cells import cell_len
from textual.binding import BindingType

from tui.render import line_format as fmt
from tui.render import units
from tui.render.palette import Palette
from tui.render.safe_text import Segment
from tui.screen.widgets.list_pane import Item, ListPane

_COUNT_CELLS: Final = 9


class StreamPane(ListPane):
    """A list of streams, by name."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("space", "ask('switch')", "On or off"),
        ("enter,o", "ask('only')", "Only this"),
        ("a", "ask('all')", "All"),
    ]

    def __init__(
        self, palette: Palette, ask: Callable[[str, str], None], *, ascii_only: bool = False
    ) -> None:
        """No streams.

        Args:
            palette: the styles.
            ask: does ``switch``, ``only`` or ``all`` with a stream.
            ascii_only: cut names with ASCII.

        """
        super().__init__(palette, id="streams")
        self._ask = ask
        self._counted: list[tuple[str, int, bool]] = []
        self._others = 0
        self._ascii_only = ascii_only
        self.border_subtitle = "Space on/off, Enter only, a all"

    def show_streams(
        self, counts: Mapping[str, int], is_shown: Callable[[str], bool], others: int, *, done: bool
    ) -> None:
        """Show the streams by name.

        Args:
            counts: lines of each.
            is_shown: whether the list shows those of a stream.
            others: lines of streams beyond what is counted by name.
            done: whether all lines have been counted.

        """
        more = "" if done else ", counting"
        self.border_title = f"{units.plural(len(counts), 'stream')}{more}"
        self._counted = [(name, counts[name], is_shown(name)) for name in sorted(counts)]
        self._others = others
        self._fill()

    def _fill(self) -> None:
        items = [self._item(name, count, is_on=is_on) for name, count, is_on in self._counted]
        if self._others:
            said = f"    and {units.plural(self._others, 'line')} of more streams"
            items.append(Item("", ((said, "muted"),)))
        self.show(items)

    def action_ask(self, what: str) -> None:
        """A key."""
        if self.current:
            self._ask(what, self.current)

    def picked(self, key: str, *, twice: bool) -> None:
        """A click switches, two clicks leave only this one."""
        if key:
            self._ask("only" if twice else "switch", key)

    def _item(self, name: str, count: int, *, is_on: bool) -> Item:
        number = units.number(count).rjust(_COUNT_CELLS)
        cells = max(4, self.cells - 4 - cell_len(number))
        shown = fmt.stream_text(name, cells, ascii_only=self._ascii_only)
        parts: tuple[Segment, ...] = (
            ("[x] " if is_on else "[ ] ", "text" if is_on else "muted"),
            (shown, fmt.stream_role(name) if is_on else "muted"),
            (number, "text" if is_on else "muted"),
        )
        return Item(name, parts)

    def on_resize(self) -> None:
        """Names take another room."""
        self._fill()
