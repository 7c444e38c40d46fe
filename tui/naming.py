"""What comes from a log as a title in Textual's palette, which takes brackets for markup. Pure."""

from __future__ import annotations

from typing import Final

from tui.harmless import harmless

TITLE_CHARS: Final = 60

_BRACKETS: Final = str.maketrans("[]", "()")


def title(text: str) -> str:
    """A text, harmless, short, and with other brackets."""
    return harmless(text[:TITLE_CHARS]).translate(_BRACKETS)
