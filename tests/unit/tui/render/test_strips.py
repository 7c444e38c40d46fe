from __future__ import annotations

import msgspec
import pytest
from rich.console import Console
from textual.color import Color
from textual.filter import Monochrome
from textual.strip import Strip

from common.patterns import compile_pattern
from tests.support.fake_engine import EPOCH_MS, make_line, make_rule
from tui.lines.levels import level_of
from tui.lines.rows import Line, Row
from tui.render.line_format import ColumnLayout, TimeMode
from tui.render.palette import Depth, Palette, Surface, ThemeTones
from tui.render.safe_text import MESSAGE, Segment
from tui.render.strips import STRIPS_MAX, Appearance, LazyStrip, StripCache


def make(width: int = 80, **appearance: object) -> StripCache:
    strips = StripCache(
        Palette(ThemeTones.of({}, dark=True)),
        lambda line: level_of(line.message),
        lambda line: line.era == 0,
        ColumnLayout(),
    )
    strips.set_appearance(msgspec.structs.replace(Appearance(width=width), **appearance))
    return strips


def text(strips: StripCache, row: Row, previous: Row | None = None) -> str:
    return "\n".join(strip.text for strip in strips.strips(row, previous))


def test_a_line() -> None:
    shown = text(make(), make_line(1, "ERROR boom"))
    assert shown.rstrip() == " 12:00:00.100 w/app/7c1e09   ERROR boom"
    assert len(shown) == 80


def test_strips_are_cached() -> None:
    strips = make()
    line = make_line(1, "x")
    assert strips.strips(line, None)[0] is strips.strips(line, None)[0]
    again = msgspec.structs.replace(line, origin="repair")
    assert strips.strips(again, None)[0].text.startswith("+")


def test_the_cache_is_bounded() -> None:
    strips = make()
    for number in range(STRIPS_MAX + 100):
        strips.strips(make_line(number, "x"), None)
    assert len(strips._cached) == STRIPS_MAX


@pytest.mark.parametrize("width", [1, 5, 20, 33, 80, 300])
@pytest.mark.parametrize("wrapped", [False, True])
def test_every_strip_is_as_wide_as_the_screen(width: int, wrapped: bool) -> None:  # noqa: FBT001
    strips = make(width, wrapped=wrapped)
    rows: list[Row] = [
        make_line(1, "漢字" * 200),
        make_line(2, "a\tb\x1b[31mred\x1b[0m\u202e" * 40),
        make_line(3, ""),
        make_line(4, "one\ntwo\nthree"),
        make_rule(1, EPOCH_MS, "offline", through_ms=None, reason="no answer" * 30),
    ]
    for row in rows:
        for strip in strips.strips(row, None, "cursor", ("|", "track")):
            assert strip.cell_length == sum(segment.cell_length for segment in strip) == width + 1


def test_a_megabyte_is_read_only_as_far_as_it_is_shown() -> None:
    strips = make()
    assert len(text(strips, make_line(1, "x" * 1_000_000))) == 80
    wrapped = make(wrapped=True)
    assert wrapped.row_height(make_line(1, "x" * 1_000_000), None) == 201


def test_scrolled_to_the_side() -> None:
    line = make_line(1, "".join(f"{number:04d}" for number in range(100)))
    shown = text(make(left=40), line)
    assert shown[:29].strip().startswith("12:00:00.100")
    assert "0010" in shown
    assert "0009" not in shown


def test_the_stream_column_grows_with_what_is_shown() -> None:
    strips = make(200)
    narrow = strips.columns.stream_cells
    line = make_line(1, "x", stream="worker/render/exec-0008")
    assert strips.widen([line])
    assert strips.columns.stream_cells == 23 > narrow
    assert not strips.widen([line])
    strips.set_appearance(Appearance(width=80))
    assert strips.columns.stream_cells == 13


def test_times_that_depend_on_more_than_the_row() -> None:
    strips = make(time=TimeMode.DELTA)
    line = make_line(10, "x")
    assert "+0.700" in text(strips, line, make_line(3, "y"))
    assert "+0.100" in text(strips, line, make_line(9, "y"))
    relative = make(time=TimeMode.RELATIVE)
    relative.set_now(EPOCH_MS + 61_000)
    assert "-1m00s" in text(relative, line)
    relative.set_now(EPOCH_MS + 121_000)
    assert "-2m00s" in text(relative, line)


def test_matches_are_marked() -> None:
    strips = make(pattern=compile_pattern("boom"))
    marked = [
        segment.text
        for segment in strips.strips(make_line(1, "a boom b"), None)[0]
        if segment.style == Palette(ThemeTones.of({}, dark=True)).style("match")
    ]
    assert marked == ["boom"]


def test_unconfirmed_lines_have_a_sign() -> None:
    strips = make()
    line: Line = make_line(1, "x", era=1)
    assert text(strips, line).startswith("?")


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
    return Palette(ThemeTones.of({}, dark=True), depth, ascii_only=ascii_only)


def textuals(depth: Depth, surface: Surface, *, ascii_only: bool = False) -> Strip:
    mixed = palette(depth, ascii_only=ascii_only)
    return Strip(mixed.cells(LINE, surface) + mixed.cells([EDGE]), CELLS)


def drawn(depth: Depth, surface: Surface, *, ascii_only: bool = False) -> LazyStrip:
    return LazyStrip(LINE, EDGE, CELLS, palette(depth, ascii_only=ascii_only), surface)


@pytest.mark.parametrize("system", ["truecolor", "256", "standard", None])
@pytest.mark.parametrize("depth", ["full", "ansi", "none"])
@pytest.mark.parametrize("surface", ["log", "cursor", "dim", "selected"])
def test_a_lazy_strip_renders_as_textuals(
    depth: Depth, surface: Surface, system: str | None
) -> None:
    console = Console(color_system=system, force_terminal=True)  # type: ignore[arg-type]  # a name
    for ascii_only in (False, True):
        ours = drawn(depth, surface, ascii_only=ascii_only)
        expected = textuals(depth, surface, ascii_only=ascii_only).render(console)
        assert "red" in expected
        assert ours.render(console) == ours.render(console) == expected


def test_an_undivided_strip_is_itself() -> None:
    ours = drawn("full", "log")
    assert ours.divide([CELLS]) == [ours]
    assert ours.cell_length == textuals("full", "log").cell_length
    assert not hasattr(ours, "_no_such_thing")


def test_a_lazy_strip_has_all_attributes_of_a_strip() -> None:
    expected = textuals("full", "log")
    assert list(drawn("full", "log")) == list(expected)
    assert drawn("full", "log").text == expected.text
    assert drawn("full", "log").divide([5, CELLS]) == expected.divide([5, CELLS])
    assert drawn("full", "log").crop(3, 17) == expected.crop(3, 17)
    grey = Monochrome(), Color(0, 0, 0)
    assert drawn("full", "log").apply_filter(*grey) == expected.apply_filter(*grey)
    assert Strip.join([drawn("full", "log"), drawn("full", "bar")]).text == expected.text * 2
    assert drawn("full", "log") == expected


def test_the_column_of_log_groups() -> None:
    strips = make()
    assert strips.set_groups(["eu-west-1:web", "us-east-1:prod/orders-import"])
    assert not strips.set_groups(["eu-west-1:web", "us-east-1:prod/orders-import"])
    first, second = (make_line(1, "x", target=number) for number in range(2))
    assert text(strips, first).startswith(" 12:00:00.100 eu-west-1:web w/app/7c1e09   x")
    assert text(strips, second).startswith(" 12:00:00.100 us-e…s-import w/app/7c1e09   x")
    strips.set_groups([])
    assert text(strips, first).startswith(" 12:00:00.100 w/app/7c1e09   x")


@pytest.mark.parametrize(
    ("message", "letter"),
    [
        ("INFO placed", " "),
        ("[WARN] placed", " "),
        ("error: placed", " "),
        ("WARNING:root:placed", " "),
        ("\x1b[31mERROR\x1b[0m placed", " "),
        ('{"level": "warn", "msg": "WARN placed"}', " "),
        ('{"level": "warn", "msg": "placed"}', "W"),
        ("12:00 INFO placed", "I"),
        ("information", " "),
    ],
)
def test_a_level_is_shown_once(message: str, letter: str) -> None:
    shown = text(make(), make_line(1, message))
    assert shown[27] == letter
    if letter == " ":
        return
    assert text(make(left=3), make_line(1, "INFO placed"))[27] == "I", "the word is scrolled away"


def test_the_word_for_a_level_is_coloured() -> None:
    (strip,) = make().strips(make_line(1, "ERROR boom"), None)
    palette = Palette(ThemeTones.of({}, dark=True))
    word = next(segment for segment in strip if segment.text.startswith("ERROR"))
    assert word.style == palette.style("level.error")


def test_rules_name_their_log_group_where_there_are_several() -> None:
    strips = make()
    rule = make_rule(1, EPOCH_MS, "gap", state="repaired", count=2)
    assert text(strips, rule).startswith("── gap repaired")
    strips.set_groups(["web", "api"])
    assert text(strips, rule).startswith("── web: gap repaired")
    joined = make_rule(1, EPOCH_MS, "joined", target=1, reason="log group api joined")
    assert text(strips, joined).startswith("── log group api joined")
    everywhere = make_rule(1, EPOCH_MS, "evicted", target=None, count=2)
    assert text(strips, everywhere).startswith("── 2 lines not in memory")
