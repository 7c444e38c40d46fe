"""What the screen needs of the engine: the least, so that tests can stand in for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tui.client.status import Status
from tui.lines.rows import Change, Row
from tui.lines.timeline import Timeline


class ViewerEngine(Protocol):
    """Brings the lines, and knows what there is to know about them."""

    @property
    def status(self) -> Status:
        """A snapshot of what it knows."""

    @property
    def timeline(self) -> Timeline:
        """The rows; always the same object."""

    def on_change(self, callback: Callable[[Change], None]) -> None:
        """Call back in the event loop, after each change and in their order."""

    async def start(self) -> None:
        """Begin to connect."""

    async def stop(self) -> None:
        """Close all connections."""

    def reconnect_now(self) -> None:
        """Try at once, without waiting."""

    def look(self, rows: Sequence[Row], cursor: int | None, *, sifted: bool) -> None:
        """Somebody looks at these rows; what is missing there is fetched."""

    def bring(self, key: int, then: Callable[[], None]) -> None:
        """Fetch what is not in memory at a key, for somebody who goes there."""
