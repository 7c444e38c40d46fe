"""Work on a text grows with its length and not faster, whatever characters it consists of."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType

import pytest

from common import text as common_text
from common.patterns import compile_pattern
from tests.support.fake_engine import make_line
from tests.support.work_counter import WorkCounter, instrument
from tui.client.target import LineSource
from tui.lines import expressions, levels, matching, rows, structure
from tui.output import formats
from tui.output.ordering import PrintedLine
from tui.render import detail_text, line_format, panel_text, safe_text, strips
from tui.render.palette import Palette, ThemeTones
from tui.screen import save

UNITS = {
    "tabs": "\t",
    "C0 controls": "\x01",
    "C1 controls": "\x9b",
    "escapes": "\x1b",
    "carriage returns": "\r",
    "newlines": "\n",
    "combining marks": "e\u0301",
    "a stack of marks": "\u0301",
    "stacks of marks": "e" + "\u0301" * 20,
    "marks between joiners": "\u0301\u200d",
    "marks in many colours": "\x1b[31m\u0301\x1b[32m\u0301",
    "colours": "\x1b[31mx\x1b[0m",
    "sequences without an end": "\x1b[1;",
    "one sequence without an end": "1;",
    "wide text": "漢",
    "wide text and tabs": "漢\t",
    "surrogates": "\ud800",
    "direction controls": "\u202ea",
    "joiners": "a\u200d",
    "plain and control": "a\x01",
    "words": "one two ",
    "plain": "x",
    "quotes": '\\"',
    "brackets": "[",
    "levels": "level=",
}
PREFIXES = {"one sequence without an end": "\x1b["}
CHARS = 1_000

Function = Callable[[str], object]

SOURCE = LineSource("", "g")


@pytest.fixture(scope="module")
def counter() -> WorkCounter:
    return WorkCounter()


@pytest.fixture(scope="module")
def copies(counter: WorkCounter) -> dict[str, ModuleType]:
    modules = [
        common_text,
        levels,
        rows,
        expressions,
        matching,
        structure,
        safe_text,
        line_format,
        panel_text,
        detail_text,
        formats,
        save,
        strips,
    ]
    return instrument(modules, counter)


@pytest.fixture(scope="module")
def functions(copies: dict[str, ModuleType]) -> dict[str, Function]:
    """The functions by name; each takes a message."""
    safe, fmt = copies["tui.render.safe_text"], copies["tui.render.line_format"]
    panel, out = copies["tui.render.panel_text"], copies["tui.output.formats"]
    saving, plain = copies["tui.screen.save"], copies["common.text"]
    tree = copies["tui.render.detail_text"].json_tree
    structure_of = copies["tui.lines.structure"]._structure_of

    def segments_of(text: str) -> list[safe_text.Segment]:
        return safe_text.segments(text)

    def line_of(text: str) -> rows.Line:
        return make_line(1, text)

    def printed(text: str) -> PrintedLine:
        return PrintedLine(line_of(text), is_late=False)

    def detail(text: str) -> object:
        return copies["tui.render.detail_text"].detail_report(
            line_of(text), group="g", level=None, confirmed=True
        )

    return {
        "segments": safe.segments,
        "segments, ASCII": lambda text: safe.segments(text, ascii_only=True),
        "harmless": safe.harmless,
        "harmless, ASCII": lambda text: safe.harmless(text, ascii_only=True),
        "stream_text": lambda text: fmt.stream_text(text, 30),
        "stream_text with folders": lambda text: fmt.stream_text(text.replace("x", "x/"), 30),
        "message_segments": lambda text: fmt.message_segments(text, "error"),
        "rule_segments": lambda text: fmt.rule_segments(text, "rule.bad", 80),
        "highlight": lambda text: fmt.highlight(segments_of(text), compile_pattern("[^ ]")),
        "wrap": lambda text: fmt.wrap(segments_of(text), 80, len(text)),
        "wrap at words": lambda text: fmt.wrap(segments_of(text), 80, len(text), words=True),
        "clip": lambda text: fmt.clip(segments_of(text), len(text), 80),
        "clip at the left": lambda text: fmt.clip(segments_of(text), 0, 80),
        "fit": lambda text: fmt.fit(text, len(text)),
        "detail_report": detail,
        "detail_report of JSON": lambda text: detail(_json(text)),
        "detail_report of nested JSON": lambda text: detail(_nested(text)),
        "json_tree": lambda text: tree(json.dumps([text, {text: text}])),
        "palette_title": panel.palette_title,
        "pasteable": panel.pasteable,
        "format_text": lambda text: out.format_text(printed(text), out.OutputStyle(color=True)),
        "format_json": lambda text: out.format_json(printed(text), SOURCE),
        "format_line, raw": lambda text: out.format_line(
            printed(text), out.OutputStyle("raw"), SOURCE
        ),
        "as_plain": lambda text: saving.as_plain(line_of(text)),
        "as_ndjson": lambda text: saving.as_ndjson(line_of(text), ["g"]),
        "structure_of": structure_of,
        "structure_of JSON": lambda text: structure_of(_json(text)),
        "structure_of pairs": lambda text: structure_of(f'a="{text}" b={text} {text}'),
        "level_of": copies["tui.lines.levels"].level_of,
        "escape_unprintable": plain.escape_unprintable,
        "replace_unprintable": plain.replace_unprintable,
    }


def _json(text: str) -> str:
    return json.dumps({"a": text, text: [text]}, ensure_ascii=False)


def _nested(text: str) -> str:
    """JSON of as many characters, nested as deeply as a tree may be."""
    depth = min(detail_text.TREE_DEPTH_MAX, len(text) // 4)
    count = len(text) // 2 - depth
    return "[" * depth + "1," * count + "1" + "]" * depth


def _text(kind: str, chars: int) -> str:
    prefix, unit = PREFIXES.get(kind, ""), UNITS[kind]
    return prefix + unit * (chars // len(unit))


def _work(function: Function, text: str, counter: WorkCounter) -> int:
    before = counter.work
    function(text)
    return counter.work - before


@pytest.mark.parametrize("kind", UNITS)
def test_four_times_the_text_is_at_most_five_times_the_work(
    kind: str, functions: dict[str, Function], counter: WorkCounter
) -> None:
    too_much = []
    for name, function in functions.items():
        small, large = (_work(function, _text(kind, size), counter) for size in (CHARS, 4 * CHARS))
        if large > 5 * small:
            too_much.append(f"{name}: {small} for {CHARS}, {large} for {4 * CHARS} characters")
    assert not too_much


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("kind", UNITS)
def test_only_the_visible_part_of_a_line_is_drawn(
    kind: str, copies: dict[str, ModuleType], counter: WorkCounter, *, wrapped: bool
) -> None:
    drawing = copies["tui.render.strips"]

    def draw(text: str) -> object:
        cache = drawing.StripCache(
            Palette(ThemeTones.of({}, dark=True)),
            lambda line: levels.level_of(line.message),
            lambda _line: True,
            line_format.ColumnLayout(),
        )
        cache.set_appearance(drawing.Appearance(width=60, left=20, wrapped=wrapped))
        return cache.strips(make_line(1, text), None)

    draw(_text(kind, 1_000))  # what is kept from line to line
    small, large = (_work(draw, _text(kind, size), counter) for size in (100_000, 400_000))
    assert large == small
