from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.lines.structure import Scalar
from tui.output.templates import WIDTH_MAX, parse_format, parse_template


def fill(text: str, *values: Scalar) -> str:
    return parse_template(text).fill([[one] for one in values])


@pytest.mark.parametrize(
    ("text", "values", "filled"),
    [
        ("{msg}", ["x"], "x"),
        ("{time} {level:5}|{msg:>4}|", ["t", "warn", "m"], "t warn |   m|"),
        ("{{{msg}}}", ["x"], "{x}"),
        ("{user.id} {tags[0]}", [12, "a"], "12 a"),
        (r"{msg}\t{level}\n", ["a", "b"], "a\tb\n"),
        (r"\\t{msg}", ["a"], r"\ta"),
        ("{amount:.2f}", [12.5], "12.50"),
        ("{amount:.2f}", ["many"], "many"),
        ("{amount:>8}", [12], "      12"),
        ("{done:5}|", [True], "    1|"),
        ('{"level"}{"a,b"}', [1, 2], "12"),
        ("{Max Memory Used}", ["71 MB"], "71 MB"),
    ],
)
def test_fields_are_inserted(text: str, values: list[Scalar], filled: str) -> None:
    assert fill(text, *values) == filled


def test_no_value_is_empty_and_several_are_joined() -> None:
    template = parse_template("{a}|{b:3}|{c}")
    assert template.fill([[], [], [1, 2]]) == "|   |1, 2"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{tme}", r"unknown field 'tme' at character 1: did you mean \{time\}\?"),
        ("{time} {Levels}", r"unknown field 'Levels' at character 8: did you mean \{level\}\?"),
        ("a {", r"'\{' at character 3: Single '\{'"),
        ("{msg}}", r"'\}' at character 6: Single '}'"),
        ("{{}", r"'\}' at character 3"),
        ("{{x {msg", r"'\{msg' at character 5"),
        ("{msg} {}", r"\{\} at character 7 names no field"),
        ("{msg!r}", r"!r in \{msg!r\} at character 1 is not supported"),
        ("{msg:q}", r"the format 'q' of \{msg\} at character 1 is unknown"),
        ("{msg:d}", r"the format 'd' of \{msg\} at character 1 is for numbers, and msg is text"),
        ("{n:d} {time:.2f}", r"'.2f' of \{time\} at character 7 is for numbers, and time is text"),
        ("{stream:+}", r"is for numbers, and stream is text: write \{stream:10\}"),
        ("{msg} {msg:q}", r"\{msg\} at character 7"),
        ("{msg:9999}", r"is wider than 1,000"),
        ("{{msg}}", "has no field"),
        ("x" * 5000 + "{msg}", "longer than 4,096 characters"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_template(text)


@given(st.text(alphabet='{}:!a.b[0]\\t >5"', max_size=30))
def test_any_text_is_a_template_or_a_mistake(text: str) -> None:
    try:
        template = parse_template(text)
    except ValueError:
        return
    filled = template.fill([["v"] for _ in template.fields])
    assert len(filled) <= len(text) + len(template.fields) * WIDTH_MAX


@pytest.mark.parametrize(
    ("text", "name"),
    [("text", "text"), ("detailed", "text"), ("short", "short"), ("json", "json"), ("raw", "raw")],
)
def test_names_of_formats(text: str, name: str) -> None:
    assert parse_format(text) == name


def test_a_template_is_a_format() -> None:
    assert parse_format("{time} {msg}") == "{time} {msg}"
    with pytest.raises(ValueError, match="is not short, detailed"):
        parse_format("xml")
