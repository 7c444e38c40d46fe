from __future__ import annotations

import json

import pytest

from tui.client.target import LineSource
from tui.lines.rows import Line, line_key
from tui.output.formats import INDENT, OutputFormat, format_line, format_text
from tui.output.ordering import PrintedLine
from tui.output.plain import group_names
from tui.render.fields import parse_fields

AT = 1_795_434_271_123  # 2026-11-23T11:44:31.123Z


def one(message: str, *, stream: str = "app/one", is_late: bool = False) -> PrintedLine:
    line = Line(line_key(AT, "0007", 0), 9, AT + 5, stream, message, "live", 0, 0, 4)
    return PrintedLine(line, is_late)


def test_text_is_time_stream_message() -> None:
    data = format_line(one("hello"), "text", LineSource("", "/g"), color=False)
    assert data == b"2026-11-23T11:44:31.123Z app/one hello\n"


def test_json_is_an_object_a_line() -> None:
    data = format_line(one("hello"), "json", LineSource("", "/g"), color=True)
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
        format_line(one("hello", is_late=True), "json", LineSource("", None), color=False)
    )
    assert (late["late"], late["log_group"]) == (True, None)


def test_raw_is_the_message_as_it_came() -> None:
    assert format_line(one("\x1b[31mred\ud800"), "raw", LineSource("", None), color=False) == (
        b"\x1b[31mred\xed\xa0\x80\n"
    )


@pytest.mark.parametrize("message", ["a", "a\n", "a\r\n"])
def test_raw_ends_each_message_with_exactly_one_newline(message: str) -> None:
    assert format_line(one(message), "raw", LineSource("", None), color=False) == b"a\n"


def test_raw_keeps_all_other_newlines() -> None:
    assert format_line(one("\na\n\n"), "raw", LineSource("", None), color=False) == b"\na\n\n"


STRUCTURED = '{"level":"warn","msg":"a\\nb","user":{"id":12},"n":1,"n":2}'


def printed(message: str, output: OutputFormat, fields: str) -> bytes:
    return format_line(
        one(message),
        output,
        LineSource("", "/g"),
        color=False,
        fields=parse_fields(fields),
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
    data = format_line(one("hello"), "text", source, color=False, group="us-east-1:web")
    assert data.split(b" ")[1:2] == [b"us-east-1:web"]
    sources = [LineSource("/ecs/web", "/ecs/web"), LineSource("ws://host/v1/tail", "/ecs/db")]
    assert group_names(sources, may_join=False) == ["web", "db"]
    assert group_names(sources[:1], may_join=False) == [""]
    assert group_names(sources[:1], may_join=True) == ["web"]


@pytest.mark.parametrize("message", WICKED)
@pytest.mark.parametrize("output", ["text", "json"])
def test_no_message_can_act_on_a_terminal(message: str, output: OutputFormat) -> None:
    for stream in ("app/one", message):
        data = format_line(one(message, stream=stream), output, LineSource("", None), color=False)
        text = data.decode()
        assert text.endswith("\n")
        assert all(char == "\n" or char.isprintable() for char in text)
        rows = text.rstrip("\n").split("\n")
        assert len(rows) == 1 or output == "text"
        assert all(row.startswith(INDENT) for row in rows[1:])


@pytest.mark.parametrize("message", WICKED)
def test_json_preserves_the_message(message: str) -> None:
    assert (
        json.loads(format_line(one(message), "json", LineSource("", None), color=False))["message"]
        == message
    )


def test_only_output_adds_colour() -> None:
    text = format_text(one("\x1b[41m ERROR broken"), color=True)
    assert "\x1b[41m" not in text
    assert text.count("\x1b[0m") == 3
    assert format_text(one("fine"), color=True).count("\x1b[0m") == 2
