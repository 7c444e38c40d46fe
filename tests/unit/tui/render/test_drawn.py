from __future__ import annotations

import pytest
from rich.console import Console
from textual.color import Color
from textual.filter import Monochrome
from textual.strip import Strip

from tui.render.drawn import DrawnStrip
from tui.render.palette import Depth, Palette, Surface, Tones
from tui.render.safe_text import MESSAGE, Segment

LINE: list[Segment] = [
    (" ", "gutter.live"),
    ("12:00:00.000 ", "time"),
    ("漢字 · é", "message.error"),
    ("red", "sgr:1:bu"),
    ("", MESSAGE),
    ("  ", MESSAGE),
]
EDGE: Segment = ("▐", "thumb")
CELLS = 29


def palette(depth: Depth, *, ascii_only: bool = False) -> Palette:
    return Palette(Tones.of({}, dark=True), depth, ascii_only=ascii_only)


def textuals(depth: Depth, surface: Surface, *, ascii_only: bool = False) -> Strip:
    mixed = palette(depth, ascii_only=ascii_only)
    return Strip(mixed.cells(LINE, surface) + mixed.cells([EDGE]), CELLS)


def drawn(depth: Depth, surface: Surface, *, ascii_only: bool = False) -> DrawnStrip:
    return DrawnStrip(LINE, EDGE, CELLS, palette(depth, ascii_only=ascii_only), surface)


@pytest.mark.parametrize("system", ["truecolor", "256", "standard", None])
@pytest.mark.parametrize("depth", ["full", "ansi", "none"])
@pytest.mark.parametrize("surface", ["log", "cursor", "dim", "selected"])
def test_the_terminal_is_sent_what_textual_would_send(
    depth: Depth, surface: Surface, system: str | None
) -> None:
    console = Console(color_system=system, force_terminal=True)  # type: ignore[arg-type]  # a name
    for ascii_only in (False, True):
        ours = drawn(depth, surface, ascii_only=ascii_only)
        expected = textuals(depth, surface, ascii_only=ascii_only).render(console)
        assert "red" in expected
        assert ours.render(console) == ours.render(console) == expected


def test_a_line_that_is_not_cut_is_itself() -> None:
    ours = drawn("full", "log")
    assert ours.divide([CELLS]) == [ours]
    assert ours.cell_length == textuals("full", "log").cell_length
    assert not hasattr(ours, "_no_such_thing")


def test_all_else_that_textual_has_of_a_strip_is_there() -> None:
    expected = textuals("full", "log")
    assert list(drawn("full", "log")) == list(expected)
    assert drawn("full", "log").text == expected.text
    assert drawn("full", "log").divide([5, CELLS]) == expected.divide([5, CELLS])
    assert drawn("full", "log").crop(3, 17) == expected.crop(3, 17)
    grey = Monochrome(), Color(0, 0, 0)
    assert drawn("full", "log").apply_filter(*grey) == expected.apply_filter(*grey)
    assert Strip.join([drawn("full", "log"), drawn("full", "bar")]).text == expected.text * 2
    assert drawn("full", "log") == expected
