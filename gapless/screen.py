"""The viewer's application as the command runs it: with its filters, and its faults handed on."""

from __future__ import annotations

from collections.abc import Sequence

from gapless.errors import EXIT_FAILURE
from tui.app import ViewerApp
from tui.controls import Controls
from tui.ports import ViewerEngine


class ScreenApp(ViewerApp):
    """Leaves in order where it meets a fault of its own, instead of printing a traceback."""

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
        self.filter_by(self._include, self._exclude, self._level)

    def _handle_exception(self, error: Exception) -> None:
        # Textual's own; a test shows that it is still called.
        if self.fault is None:
            self.fault = error
        self.exit(return_code=EXIT_FAILURE)
