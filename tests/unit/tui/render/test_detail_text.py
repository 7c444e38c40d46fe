"""The details of a line show everything in it, and offer each field as a filter."""

from __future__ import annotations

import json
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_engine import make_line
from tui.lines.expressions import parse_expression
from tui.lines.matching import test_of as make_test
from tui.lines.rows import Line
from tui.render.detail_text import (
    DETAIL_CHARS_MAX,
    DetailText,
    detail_report,
    json_tree,
)

REQUEST: Final = "8f5e4d3c-0000-4000-8000-000000000001"
LAMBDA: Final = f"2026-11-30T08:00:00.000Z\t{REQUEST}\tINFO\t"


def detail_text(said: DetailText) -> str:
    return "\n".join("".join(text for text, _ in line) for line in said.lines)


def told(line: Line) -> str:
    return detail_text(detail_report(line, group="/g", level=None, confirmed=True))


def test_the_detail_of_a_line() -> None:
    line = make_line(7, '{"level":"warn","ok":true,"n":1.5,"s":"\\u001b[2J"}', late_ms=42_000)
    line = msgspec.structs.replace(line, origin="repair")
    said = detail_report(
        line, group="/g", level="warn", confirmed=False, zone=ZoneInfo("Asia/Tokyo")
    )
    text = detail_text(said)
    assert "2026-11-23 12:00:00.700 UTC, 21:00:00 local" in text
    assert '  "level": "warn",' in text
    assert "a scan found it; the live path missed it" in text
    assert "+42 s late" in text
    assert "not sent again in the forwarder's new epoch" in text
    assert "0.3 s later" in text
    assert line.id in text
    assert "\x1b" not in text
    roles = {role for one in said.lines for _, role in one}
    assert {"key", "ok", "accent", "warn"} <= roles


def test_the_detail_of_plain_text_keeps_its_lines() -> None:
    line = make_line(1, "Traceback\n  File x\nboom")
    text = told(line)
    assert "\nTraceback\n  File x\nboom\n" in text
    assert "none found" in text


def test_what_only_looks_like_json_is_text() -> None:
    for message in ("{not json", "[1, 2", "[" * 100_000):
        line = make_line(1, message)
        text = told(line)
        assert message[:50] in text


def test_the_detail_of_a_huge_line_is_bounded() -> None:
    line = make_line(1, "x" * 1_000_000)
    text = told(line)
    assert len(text) < DETAIL_CHARS_MAX + 1_000
    assert "934,464 more characters: Y copies all" in text


def test_a_line_of_the_live_path_has_no_time_of_ingestion() -> None:
    line = msgspec.structs.replace(make_line(1, "x"), ingestion_time=None)
    text = told(line)
    assert "unknown (the live path does not deliver it)" in text


def offered(message: str) -> dict[str, str]:
    """The expressions that are offered, by the lines that offer them."""
    line = make_line(1, message)
    said = detail_report(line, group="/g", level=None, confirmed=True)
    for value in said.values.values():
        assert parse_expression(str(value)) == value
        assert make_test(value, lambda _target: "/g")(line), value
    shown = ("".join(text for text, _ in said.lines[at]).strip() for at in said.values)
    return dict(zip(shown, map(str, said.values.values()), strict=True))


OF_THE_EVENT: Final = {
    "log stream   web/app/7c1e09": "stream=web/app/7c1e09",
    "origin       live": "origin=live",
    "log group    /g": "group=/g",
}


@pytest.mark.parametrize(
    ("message", "values"),
    [
        ("plain", {}),
        (
            '{"level":"info","user":{"id":7,"name":"Ada L"},"tags":["a",null],"none":{}}',
            {
                '"level": "info",': "level=info",
                '"id": 7,': "user.id=7",
                '"name": "Ada L"': 'user.name="Ada L"',
                '"a",': "tags[0]=a",
                "null": "tags[1]=null",
            },
        ),
        ('{"a": 1, "a": 2}', {'"a": 1,': "a=1", '"a": 2': "a=2"}),
        (
            LAMBDA + '{"msg": "paid", "amount": 12.5}',
            {'"msg": "paid",': "msg=paid", '"amount": 12.5': "amount=12.5",
             f"requestId: {REQUEST}": f"requestId={REQUEST}"},
        ),
        (LAMBDA + "plain text", {f"requestId: {REQUEST}": f"requestId={REQUEST}"}),
        (
            json.dumps({"log": json.dumps({"msg": "slow", "ms": 900}), "c": "web"}),
            {'"msg": "slow",': "msg=slow", '"ms": 900': "ms=900", '"c": "web"': "c=web"},
        ),
        (
            json.dumps({"msg": "x", "payload": json.dumps({"b": 1})}),
            {'"msg": "x",': "msg=x", '"payload": (text)': 'payload="{\\"b\\": 1}"'},
        ),
        (
            'level=info msg="cache miss" key=user:12',
            {"level: info": "level=info", "key: user:12": "key=user:12"},
        ),
        (
            f"REPORT RequestId: {REQUEST}\tDuration: 102.25 ms\tMax Memory Used: 71 MB\t",
            {f"RequestId: {REQUEST}": f"RequestId={REQUEST}",
             "Duration: 102.25 ms": 'Duration="102.25 ms"',
             "Max Memory Used: 71 MB": '"Max Memory Used"="71 MB"'},
        ),
        (
            'Nov 30 08:00:00 h app[7]: {"k": 1}',
            {'"k": 1': "k=1", "host: h": "host=h", "tag: app": "tag=app", "pid: 7": "pid=7"},
        ),
        ('[1, {"a": 2}]', {}),
    ],
)  # fmt: skip
def test_each_field_can_be_filtered_by(message: str, values: dict[str, str]) -> None:
    assert offered(message) == values | OF_THE_EVENT


def test_a_stack_trace_keeps_its_lines() -> None:
    trace = "java.lang.X: y\n\tat a.b(C.java:1)\n\tat d.e(F.java:2)\n"
    for message in (
        json.dumps({"msg": "boom", "stack_trace": trace}),
        json.dumps({"log": json.dumps({"msg": "boom", "error": {"stack": trace}})}),
        LAMBDA + json.dumps({"msg": "boom", "stack": trace}),
    ):
        rows = [row.strip() for row in told(make_line(1, message)).splitlines()]
        at = rows.index("java.lang.X: y")
        assert rows[at + 1 : at + 3] == ["at a.b(C.java:1)", "at d.e(F.java:2)"]


def test_lines_of_a_message_in_logfmt() -> None:
    rows = told(make_line(1, 'msg=boom stack="a\\n  b"')).splitlines()
    at = rows.index("stack: a")
    assert rows[at + 1].strip() == "b"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=3) | st.dictionaries(st.text(max_size=4), JSON, max_size=3))
def test_the_tree_is_the_json(found: Any) -> None:  # noqa: ANN401 - JSON
    message = json.dumps(found, ensure_ascii=False)
    lines = json_tree(message)
    assert lines is not None
    text = "\n".join(text for text, _ in lines)
    if "\\n" not in message and "(text)" not in text:
        assert text == json.dumps(found, indent=2, ensure_ascii=False)


NAMES = st.text("abc_- é", min_size=1, max_size=3)
FIELDS = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text('aB1 \n=é{}"', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["msg", "log", "level", "stream", "x"]) | NAMES, FIELDS),
    st.sampled_from(["", LAMBDA, "Nov 30 08:00:00 h app[7]: ", "x: "]),
)
def test_what_is_offered_finds_its_line(found: dict[str, Any], before: str) -> None:
    assert OF_THE_EVENT.items() <= offered(before + json.dumps(found)).items()


def test_deeply_nested_json_has_no_tree() -> None:
    assert json_tree("[" * 500 + "]" * 500) is None
    assert json_tree("[" * 100_000) is None


def test_long_values_are_not_offered() -> None:
    assert len(offered(json.dumps({"a": "x" * 2_000, "b": 1}))) == len(OF_THE_EVENT) + 1


def test_carriage_returns_divide_the_lines_of_a_traceback() -> None:
    line = make_line(1, "[ERROR] KeyError: 'id'\rTraceback (most recent call last):\r  File x\r\n")
    assert "\n[ERROR] KeyError: 'id'\nTraceback (most recent call last):\n  File x\n" in told(line)
