"""The columns of fields: which are chosen, kept for the next run of the same targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tui.client import saved
from tui.render.fields import OWN_NAMES, SeenField, parse_fields, seen_in
from tui.screen.ports import ShowMessage
from tui.screen.widgets.bars import ColumnBar
from tui.screen.widgets.log_view import LogView


class FirstColumns(NamedTuple):
    """The columns of a screen that opens.

    Attributes:
        path: File that keeps the columns for the next run; None keeps none.
        given: The value of ``--fields``, which is used instead of that file; None: none.
    """

    path: Path | None = None
    given: str | None = None

    def names(self) -> tuple[str, ...]:
        """The fields that have columns."""
        if self.given is not None:
            # Rows show what is the event's own in any case.
            return tuple(one.name for one in parse_fields(self.given) if not one.is_own)
        return () if self.path is None else tuple(saved.load_columns(self.path))


NO_COLUMNS: Final = FirstColumns()


class Columns:
    """The chosen columns, on the log and in the bar of titles above it."""

    def __init__(
        self, log: LogView, bar: ColumnBar, first: FirstColumns, show: ShowMessage
    ) -> None:
        self._log = log
        self._bar = bar
        self._path = first.path
        self._show = show
        self._names = first.names()
        log.set_fields(self._names)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that have columns, in order."""
        return self._names

    def seen(self) -> list[SeenField]:
        """The fields that can be chosen, from the rows around the cursor."""
        found = seen_in(self._log.rows_around(), self._names)
        return [one for one in found if one.name in self._names or one.name not in OWN_NAMES]

    def preview(self, names: Sequence[str]) -> None:
        """Show other columns, without keeping them."""
        self._log.set_fields(tuple(names))
        self.refresh()

    def choose(self, names: Sequence[str]) -> None:
        """Show these columns from now on, and in the next run."""
        self.preview(names)
        if tuple(names) == self._names:
            return
        self._names = tuple(names)
        if self._path is not None:
            try:
                saved.save_columns(self._path, names)
            except OSError as error:
                self._show(f"cannot save the columns: {error.strerror}")

    def refresh(self) -> None:
        """Bring the titles up to the widths of the columns."""
        self._bar.update(self._log.columns)
