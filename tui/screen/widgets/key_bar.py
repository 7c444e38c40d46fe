"""The footer: as many of the keys as fit, each of which can be clicked."""

from __future__ import annotations

from tui.render.chunks import Chunk
from tui.render.key_bindings import Key, available
from tui.render.palette import Palette
from tui.screen.widgets.bars import Bar


class KeyBar(Bar):
    """Keys and what they do."""

    def __init__(self, palette: Palette, *, controls: bool) -> None:
        """A bar with the keys that do something here."""
        super().__init__(palette, id="key-bar")
        keys = [key for key in available(controls=controls) if key.label]
        self._left = tuple(
            Chunk(
                ((_short(key), "key"), (f" {key.label}", "muted")),
                key.footer,
                f"app.{key.acts[0].action}",
            )
            for key in keys
        )


def _short(key: Key) -> str:
    """The first of its keys, as terminals write it."""
    return key.shown.split()[0].replace("Ctrl+", "^")
