"""The pane beside the log: which of its contents is open, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import Literal

from tui.lines.levels import level_of
from tui.lines.rows import Row, Rule
from tui.lines.values import Value
from tui.render import panel_text
from tui.render.detail import Detail, detail_report
from tui.screen.ports import ViewerEngine
from tui.screen.widgets.panes import Pane

Content = Literal["detail", "connection"]

_HINT = "Tab, then arrows scroll; Esc closes"
_VALUES_HINT = "Tab, then f only this, x without; Esc closes"


class Side:
    """Opens and closes the pane, and fills it."""

    def __init__(
        self,
        pane: Pane,
        engine: ViewerEngine,
        current: Callable[[], Row | None],
        clock: Callable[[], int],
        zone: tzinfo,
    ) -> None:
        """Closed.

        Args:
            pane: the widget.
            engine: what the connection panel is about.
            current: the row that the detail is about.
            clock: the time in ms.
            zone: of local times.

        """
        self.content: Content | None = None
        self._pane = pane
        self._engine = engine
        self._current = current
        self._clock = clock
        self._zone = zone
        pane.border_subtitle = _HINT
        pane.display = False

    def toggle(self, content: Content) -> None:
        """Open with a content, or close where it is open with it."""
        self.content = None if self.content == content else content
        self._pane.display = self.content is not None
        if self.content == "connection":
            self._pane.border_subtitle = _HINT
        self.refresh(content, anew=True)

    def close(self) -> bool:
        """Close; whether it was open."""
        was_open = self.content is not None
        self.content = None
        self._pane.display = False
        return was_open

    def refresh(self, content: Content, *, anew: bool = False) -> None:
        """Say it again, where that content is open.

        Args:
            content: what may have changed.
            anew: it is about something else now: begin at the top.

        """
        if self.content != content:
            return
        if content == "connection":
            self._pane.show(content, self._connection(), anew=anew)
            return
        detail = self._detail()
        self._pane.border_subtitle = _VALUES_HINT if detail.values else _HINT
        self._pane.show(content, detail.lines, detail.values, anew=anew)

    def _connection(self) -> panel_text.Text:
        return panel_text.connection_report(self._engine.status, self._clock(), self._zone)

    def values(self) -> list[Value]:
        """The values of the line that the detail is open about."""
        return list(self._detail().values.values()) if self.content == "detail" else []

    def _detail(self) -> Detail:
        row = self._current()
        if row is None:
            return Detail([[("no line yet", "muted")]])
        if isinstance(row, Rule):
            return Detail(panel_text.rule_report(row, self._zone))
        targets = self._engine.status.targets
        target = targets[row.lane] if row.lane < len(targets) else None
        return detail_report(
            row,
            group="" if target is None else target.group or target.name,
            level=level_of(row.message),
            confirmed=self._engine.timeline.is_confirmed(row),
            zone=self._zone,
        )
