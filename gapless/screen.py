"""The viewer's application as the command runs it: with its filters, and its faults handed on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tui.app
from gapless.errors import EXIT_FAILURE
from tui.controls import Controls
from tui.ports import ViewerEngine


class ScreenApp(tui.app.ViewerApp):
    """Leaves in order where it meets a fault of its own, instead of printing a traceback."""

    # Textual looks for it beside the class's own module.
    CSS_PATH = str(Path(tui.app.__file__).with_name("app.tcss"))

    def __init__(
        self,
        engine: ViewerEngine,
        *,
        title: str,
        controls: Controls | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        level: str | None = None,
    ) -> None:
        """As ``ViewerApp``, with the filters of the command line."""
        super().__init__(engine, title=title, controls=controls)
        self.fault: Exception | None = None
        """What went wrong in the application itself."""
        self._include = include
        self._exclude = exclude
        self._level = level

    def on_ready(self) -> None:
        """Begin with the filters, as chips that can be taken off."""
        filters = self._finding.filters
        for text in self._include:
            filters.add(text, excludes=False)
        for text in self._exclude:
            filters.add(text, excludes=True)
        filters.minimum = self._level or filters.minimum
        if filters.is_any:
            self._finding.refilter()

    def _handle_exception(self, error: Exception) -> None:
        # Textual's own; a test shows that it is still called.
        if self.fault is None:
            self.fault = error
        self.exit(return_code=EXIT_FAILURE)
