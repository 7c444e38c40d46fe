from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from tui.client.target import LineSource
from tui.lines.rows import Line, line_key
from tui.output.context import ContextLine
from tui.output.formats import (
    INDENT,
    OutputStyle,
    format_context_line,
    format_line,
    format_text,
    make_style,
)
from tui.output.ordering import PrintedLine
from tui.output.plain import group_names
from tui.render.fields import parse_fields

AT = 1_795_434_271_123  # 2026-11-23T11:44:31.123Z


def one(message: str, *, stream: str = "app/one", is_late: bool = False) -> PrintedLine:
    line = Line(line_key(AT, "0007", 0), 9, AT + 5, stream, message, "live", 0, 0, 4)
    return PrintedLine(line, is_late)


def test_text_is_time_stream_message() -> None:
    data = format_line(one("hello"), OutputStyle("text"), LineSource("", "/g"))
    assert data == b"2026-11-23T11:44:31.123Z app/one hello\n"


def test_json_is_an_object_a_line() -> None:
    data = format_line(one("hello"), OutputStyle("json"), LineSource("", "/g"))
    assert data.endswith(b"}\n")
    assert list(json.loads(data).items()) == [
        ("seq", 9),
        ("id", "0007"),
        ("timestamp", AT),
        ("ingestion_time", AT + 5),
        ("log_group", "/g"),
        ("log_stream", "app/one"),
        ("message", "hello"),
        ("origin", "live"),
    ]
    late = json.loads(
        format_line(one("hello", is_late=True), OutputStyle("json"), LineSource("", None))
    )
    assert (late["late"], late["log_group"]) == (True, None)
    altered = replace(one("hello"), is_altered=True)
    data = format_line(altered, OutputStyle("json"), LineSource("", None))
    assert json.loads(data)["altered"] is True


def test_raw_is_the_message_as_it_came() -> None:
    assert format_line(one("\x1b[31mred\ud800"), OutputStyle("raw"), LineSource("", None)) == (
        b"\x1b[31mred\xed\xa0\x80\n"
    )


@pytest.mark.parametrize("message", ["a", "a\n", "a\r\n"])
def test_raw_ends_each_message_with_exactly_one_newline(message: str) -> None:
    assert format_line(one(message), OutputStyle("raw"), LineSource("", None)) == b"a\n"


def test_raw_keeps_all_other_newlines() -> None:
    assert format_line(one("\na\n\n"), OutputStyle("raw"), LineSource("", None)) == b"\na\n\n"


STRUCTURED = '{"level":"warn","msg":"a\\nb","user":{"id":12},"n":1,"n":2}'


def printed(message: str, output: str, fields: str) -> bytes:
    return format_line(
        one(message),
        OutputStyle(output, parse_fields(fields)),
        LineSource("", "/g"),
    )


def test_fields_are_printed_with_tabs_between_them() -> None:
    names = "time,level,user.id,n,nothing,msg,stream,group,origin"
    assert printed(STRUCTURED, "text", names) == (
        b"2026-11-23T11:44:31.123Z\twarn\t12\t1, 2\t\ta\xe2\x8f\x8eb\tapp/one\t/g\tlive\n"
    )
    assert printed("plain\n", "text", "level,msg,x") == b"\tplain\t\n"


def test_fields_as_json_keep_their_types() -> None:
    found = json.loads(printed(STRUCTURED, "json", 'user.id,n,nothing,"level",level'))
    assert list(found.items()) == [
        ("user.id", 12),
        ("n", [1, 2]),
        ("nothing", None),
        ('"level"', "warn"),
        ("level", "warn"),
    ]


WICKED = (
    "\x1b[2J\x1b]0;title\x07",
    "a\rb\bc\x00d\x7f",
    "\x9b31m\x85\x90",
    "\u202eevil\u2066\u200b",
    "\udfff\ud800",
    "line\n2026 app/one forged\r\nmore\n",
)


def test_text_names_the_log_group_where_there_are_several() -> None:
    source = LineSource("", "/g")
    data = format_line(one("hello"), OutputStyle("text"), source, group="us-east-1:web")
    assert data.split(b" ")[1:2] == [b"us-east-1:web"]
    sources = [LineSource("/ecs/web", "/ecs/web"), LineSource("ws://host/v1/tail", "/ecs/db")]
    assert group_names(sources, may_join=False) == ["web", "db"]
    assert group_names(sources[:1], may_join=False) == [""]
    assert group_names(sources[:1], may_join=True) == ["web"]


@pytest.mark.parametrize("message", WICKED)
@pytest.mark.parametrize("output", ["text", "json"])
def test_no_message_can_act_on_a_terminal(message: str, output: str) -> None:
    for stream in ("app/one", message):
        data = format_line(one(message, stream=stream), OutputStyle(output), LineSource("", None))
        text = data.decode()
        assert text.endswith("\n")
        assert all(char == "\n" or char.isprintable() for char in text)
        rows = text.rstrip("\n").split("\n")
        assert len(rows) == 1 or output == "text"
        assert all(row.startswith(INDENT) for row in rows[1:])


@pytest.mark.parametrize("message", WICKED)
def test_json_preserves_the_message(message: str) -> None:
    assert (
        json.loads(format_line(one(message), OutputStyle("json"), LineSource("", None)))["message"]
        == message
    )


def test_only_output_adds_colour() -> None:
    text = format_text(one("\x1b[41m ERROR broken"), OutputStyle(color=True))
    assert "\x1b[41m" not in text
    assert text.count("\x1b[0m") == 3
    assert format_text(one("fine"), OutputStyle(color=True)).count("\x1b[0m") == 2


def styled(message: str, style: OutputStyle, *, is_match: bool = True) -> str:
    return format_line(one(message), style, LineSource("", "/g"), is_match=is_match).decode()


def test_short_is_time_and_message() -> None:
    assert styled("hello\n", OutputStyle("short")) == "2026-11-23T11:44:31 hello\n"
    data = format_line(one("a"), OutputStyle("short"), LineSource("", "/g"), group="web")
    assert data == b"2026-11-23T11:44:31 web a\n"


def test_a_template_inserts_fields_and_no_control_characters() -> None:
    style = make_style("{level:5}|{user.id}|{group} {msg}")
    assert styled(STRUCTURED, style) == f"warn |12|/g a\n{INDENT}b\n"
    assert styled("ERROR \x1b[2Jx", style) == "error||/g ERROR \u241b[2Jx\n"


def test_context_lines_are_marked_in_json_and_dim_in_colour() -> None:
    assert json.loads(styled("x", OutputStyle("json"), is_match=False))["context"] is True
    assert "context" not in json.loads(styled("x", OutputStyle("json")))
    assert styled("ERROR x", OutputStyle(color=True), is_match=False).endswith(
        "\x1b[2mERROR x\x1b[0m\n"
    )


def test_a_gap_stands_between_lines_of_text_alone() -> None:
    context = ContextLine(one("x"), follows_gap=True)
    source = LineSource("", "/g")
    assert format_context_line(context, OutputStyle("short"), source).startswith(b"--\n2026")
    assert format_context_line(context, OutputStyle("raw"), source) == b"x\n"
