from __future__ import annotations

import json

import msgspec
import pytest

from tests.support.fake_engine import EPOCH_MS, make_line, make_rule
from tui.lines.rows import Row
from tui.screen import save

LINE = make_line(1, "one\n  two \x1b[2J", late_ms=42_000)
RULE = make_rule(1, EPOCH_MS, "offline", through_ms=EPOCH_MS + 10_200, count=3)


def test_text_is_as_output_has_it() -> None:
    assert save.as_plain(LINE) == ("2026-11-23T12:00:00.100Z web/app/7c1e09 one\n      two ␛[2J")
    assert save.as_plain(RULE) == (
        "2026-11-23T12:00:00.000Z -- offline 10.2 s · 3 lines recovered --"
    )


def test_a_reason_cannot_act_on_a_terminal() -> None:
    rule = make_rule(1, EPOCH_MS, "offline", through_ms=None, reason="\x1b[2J\x9b2J")
    assert "\x1b" not in save.as_plain(rule)
    assert save.as_plain(rule).isprintable()
    assert save.as_ndjson(rule, []).isascii()
    assert save.as_ndjson(rule, []).decode().isprintable()


def test_ndjson_is_as_output_has_it() -> None:
    found = json.loads(save.as_ndjson(LINE, ["/g"]))
    assert found["message"] == LINE.message
    assert found["log_group"] == "/g"
    assert found["late"]
    assert json.loads(save.as_ndjson(LINE, []))["log_group"] is None
    assert json.loads(save.as_ndjson(RULE, ["/g"])) == {
        "rule": "offline",
        "from": EPOCH_MS,
        "through": EPOCH_MS + 10_200,
        "text": "offline 10.2 s · 3 lines recovered",
    }


@pytest.mark.parametrize(
    ("name", "begins"),
    [("x.log", b"2026"), ("x", b"2026"), ("x.ndjson", b"{"), ("X.JSONL", b"{"), ("x.json", b"{")],
)
def test_the_suffix_chooses_the_format(name: str, begins: bytes) -> None:
    write = save.writer_of(name, ["/g"])
    rows: list[Row] = [LINE, RULE, msgspec.structs.replace(LINE, message="half \ud800")]
    for row in rows:
        written = write(row)
        assert written.startswith(begins)
        assert written.endswith(b"\n")
        written.decode()


def test_messages_without_rules() -> None:
    assert save.messages([LINE, RULE, make_line(2, "x")], as_shown=False) == f"{LINE.message}\nx"
