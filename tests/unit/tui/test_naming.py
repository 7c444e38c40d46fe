from __future__ import annotations

from tui.naming import TITLE_CHARS, title


def test_nothing_of_it_is_markup_or_acts() -> None:
    assert title("[red]x[/] \x1b[2J") == "(red)x(/) ␛(2J"
    assert len(title("x" * 1_000)) == TITLE_CHARS
