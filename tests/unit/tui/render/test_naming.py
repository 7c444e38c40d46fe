from __future__ import annotations

from tui.render.naming import TITLE_CHARS, pasted, title


def test_nothing_of_it_is_markup_or_acts() -> None:
    assert title("[red]x[/] \x1b[2J") == "(red)x(/) ␛(2J"
    assert len(title("x" * 1_000)) == TITLE_CHARS


def test_what_is_pasted_can_be_drawn_as_it_is() -> None:
    assert pasted("a\x1b[2J\x9bb\u202e\ud800c 漢\nsecond") == "a[2Jbc 漢"
    assert pasted("") == pasted("\n") == ""
