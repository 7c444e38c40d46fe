from __future__ import annotations

from collections import Counter
from datetime import UTC

import pytest

from tests.support.fake_engine import EPOCH_MS
from tui.lines.counts import PatternSummary
from tui.render.pattern_list import (
    Choice,
    PatternTable,
    ordered,
    pattern_segments,
    shown_pattern,
)


def summary(text: str = "* INFO job * done", first_s: int = 0, last_s: int = 60) -> PatternSummary:
    buckets = Counter({EPOCH_MS // 1_000 + first_s: 3, EPOCH_MS // 1_000 + last_s: 1})
    first_ms, last_ms = EPOCH_MS + first_s * 1_000, EPOCH_MS + last_s * 1_000
    levels: Counter[str | None] = Counter({"info": 3, "error": 1})
    return PatternSummary(text, 4, levels, buckets, first_ms, last_ms)


def table(since_s: int | None = 90, choice: Choice = "", lines: int = 16) -> PatternTable:
    since_ms = None if since_s is None else EPOCH_MS + since_s * 1_000
    span_ms = EPOCH_MS, EPOCH_MS + 100_000
    return PatternTable(lines, 1_000, span_ms, since_ms, UTC, lambda _text: choice)


def text(row: list[tuple[str, str]]) -> str:
    return "".join(part for part, _ in row)


def test_a_row() -> None:
    assert text(table(None).row(summary(), 76)) == (
        "             4   25% ▇    ▃     info  job * done"
    )
    wide = text(table(None).row(summary(), 120))
    assert "12:00:00 12:01:00 info  job * done" in wide
    ascii_row = text(table(None).row(summary(), 76, ascii_only=True))
    assert ascii_row.isascii()
    assert text(table(None).row(summary(), 76, shift=4)).endswith("info  * done")


@pytest.mark.parametrize(
    ("since_s", "choice", "expected"),
    [(-1, "", "new"), (30, "", ""), (90, "only", "only"), (90, "hidden", "hid"), (None, "", "")],
)
def test_marks_are_words(since_s: int | None, choice: Choice, expected: str) -> None:
    assert text(table(since_s, choice).row(summary(), 76))[:5].strip() == expected


def test_a_pattern_that_is_gone() -> None:
    one = summary(last_s=1)
    assert text(table(30).row(one, 76)).startswith("gone ")


def test_hidden_patterns_are_muted_and_wildcards_coloured() -> None:
    assert pattern_segments("a * b*", "text") == [
        ("a ", "text"), ("*", "key"), (" b", "text"), ("*", "key"),
    ]  # fmt: skip
    row = table(90, "hidden").row(summary(), 76)
    assert row[-1] == (" done", "muted")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("* [*] ERROR worker-*: x", "worker-*: x"),
        ("* INFO --- [nio-*-exec-*] app.Web : x", "app.Web : x"),
        ("* - - [*]", "[*]"),
        ("- -", "-"),
        ("ERROR", "ERROR"),
        ("", "(empty)"),
        ("a\x1b]0;x", "a^[]0;x"),
        ("job * info", "job * info"),
    ],
)
def test_what_precedes_the_first_word_is_left_out(pattern: str, expected: str) -> None:
    assert shown_pattern(pattern).replace("␛", "^[") == expected


def test_order() -> None:
    often, newest = summary("a"), summary("b", first_s=50)
    newest.count = 1
    assert ordered([newest, often], "count") == [often, newest]
    assert ordered([often, newest], "newest") == [newest, often]


def test_details() -> None:
    assert table().details(summary()) == "12:00:00 to 12:01:00 · 1 error, 3 info"
    without = PatternSummary("x", 1, Counter({None: 1}), Counter(), EPOCH_MS, EPOCH_MS)
    assert table().details(without) == "12:00:00"
    some = PatternSummary("x", 3, Counter({None: 1, "warn": 2}), Counter(), EPOCH_MS, EPOCH_MS)
    assert table().details(some) == "12:00:00 · 2 warn, 1 without level"


def test_shares_have_two_digits() -> None:
    shares = [
        text(table(None, lines=lines).row(summary(), 76))[14:20].strip() for lines in (4, 9, 99)
    ]
    assert shares == ["100%", "44%", "4.0%"]
    assert "0.0%" in text(table(None, lines=0).row(summary(), 76))
