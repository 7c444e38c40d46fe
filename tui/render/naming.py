"""Text of a log where Textual draws it: titles of its palette, and what is pasted. Pure."""

from __future__ import annotations

from typing import Final

from tui.render.safe_text import harmless

TITLE_CHARS: Final = 60

_BRACKETS: Final = str.maketrans("[]", "()")


def title(text: str) -> str:
    """A title for the palette, harmless and short; brackets would be markup to it."""
    return harmless(text[:TITLE_CHARS]).translate(_BRACKETS)


def pasted(text: str) -> str:
    """What of a text may stand in a field: of its first line what can be drawn as it is."""
    first = next(iter(text.splitlines()), "")
    return "".join(char for char in first if char.isprintable())
