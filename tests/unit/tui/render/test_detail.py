from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec

from tests.support.fake_engine import make_line
from tui.lines.rows import Line
from tui.lines.values import Value
from tui.render.detail import DETAIL_CHARS_MAX, Detail, detail_report


def text_of(said: Detail) -> str:
    return "\n".join("".join(text for text, _ in line) for line in said.lines)


def told(line: Line) -> str:
    return text_of(detail_report(line, group="/g", level=None, confirmed=True))


def test_the_detail_of_a_line() -> None:
    line = make_line(7, '{"level":"warn","ok":true,"n":1.5,"s":"\\u001b[2J"}', late_ms=42_000)
    line = msgspec.structs.replace(line, origin="repair")
    said = detail_report(
        line, group="/g", level="warn", confirmed=False, zone=ZoneInfo("Asia/Tokyo")
    )
    text = text_of(said)
    assert "2026-11-23 12:00:00.700 UTC, 21:00:00 local" in text
    assert '  "level": "warn",' in text
    assert "found what the live path had missed" in text
    assert "+42 s late" in text
    assert "has not sent it again" in text
    assert "0.3 s after" in text
    assert line.id in text
    assert "\x1b" not in text
    roles = {role for one in said.lines for _, role in one}
    assert {"key", "ok", "accent", "warn"} <= roles


def test_the_detail_of_plain_text_keeps_its_lines() -> None:
    line = make_line(1, "Traceback\n  File x\nboom")
    text = told(line)
    assert "\nTraceback\n  File x\nboom\n" in text
    assert "none seen" in text


def test_what_only_looks_like_json_is_text() -> None:
    for message in ("{not json", "[1, 2", "[" * 100_000):
        line = make_line(1, message)
        text = told(line)
        assert message[:50] in text


def test_the_detail_of_a_huge_line_is_bounded() -> None:
    line = make_line(1, "x" * 1_000_000)
    text = told(line)
    assert len(text) < DETAIL_CHARS_MAX + 1_000
    assert "934,464 characters more: y copies all" in text


def test_a_line_of_the_live_path_has_no_time_of_ingestion() -> None:
    line = msgspec.structs.replace(make_line(1, "x"), ingestion_time=None)
    text = told(line)
    assert "not told by the live path" in text


def test_values_stand_on_their_lines() -> None:
    message = '{"level":"info","user":{"id":7,"name":"ada"},"tags":["a",null],"none":{}}'
    line = make_line(1, message)
    said = detail_report(line, group="/g", level="info", confirmed=True)
    found = {
        "".join(text for text, _ in said.lines[number]).strip(): value.text
        for number, value in said.values.items()
    }
    assert found == {
        "log stream   web/app/7c1e09": "stream=web/app/7c1e09",
        '"level": "info",': "level=info",
        '"id": 7,': "user.id=7",
        '"name": "ada"': "user.name=ada",
        '"a",': "tags[0]=a",
        "null": "tags[1]=null",
        "level        info": "level=info",
        "came as      live": "came=live",
        "log group    /g": "group=/g",
    }
    assert all(value.matches(line) for value in said.values.values())


def test_every_value_is_one_to_filter_by() -> None:
    line = make_line(1, "plain")
    said = detail_report(line, group="/g", level=None, confirmed=True)
    assert set(said.values.values()) == {
        Value("stream", ("stream",), line.stream),
        Value("origin", ("came",), "live"),
        Value("lane", ("group",), 0, "/g"),
    }
