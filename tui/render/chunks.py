"""One line of the screen, from parts that give way when it is narrow. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.cells import cell_len

Part = tuple[str, str]
"""Text and role."""


class Chunk(msgspec.Struct, frozen=True):
    """Some parts that are shown together or not at all."""

    parts: tuple[Part, ...]
    rank: int = 0
    """0 stays; the highest goes first."""
    action: str | None = None
    """What a click on it does: a Textual action."""

    @property
    def cells(self) -> int:
        """Cells that it takes."""
        return sum(cell_len(text) for text, _ in self.parts)


def chunk(text: str, role: str, rank: int = 0, action: str | None = None) -> Chunk:
    """A chunk of one part."""
    return Chunk(((text, role),), rank, action)


def arrange(
    left: Sequence[Chunk], right: Sequence[Chunk], cells: int, gap: int = 2
) -> tuple[list[Chunk], list[Chunk]]:
    """The chunks that fit into ``cells``, with ``gap`` cells between any two.

    Those of rank 0 all stay, fit or not.
    """
    kept = [(one, True) for one in left] + [(one, False) for one in right]
    while sum(one.cells + gap for one, _ in kept) - gap > cells:
        worst = max(range(len(kept)), key=lambda index: (kept[index][0].rank, index))
        if not kept[worst][0].rank:
            break
        del kept[worst]
    return [one for one, is_left in kept if is_left], [one for one, is_left in kept if not is_left]
