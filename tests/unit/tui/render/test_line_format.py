from __future__ import annotations

import re
from datetime import timedelta, timezone
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from common.patterns import compile_pattern
from tests.support.fake_engine import EPOCH_MS, make_rule
from tui.lines.rows import Rule, rule_key
from tui.render import line_format as fmt
from tui.render.line_format import ColumnLayout, TimeMode, rule_text
from tui.render.safe_text import MESSAGE, NEWLINE, Segment
from wire.record import RuleKind

PIECES = st.lists(
    st.tuples(st.text(alphabet="ab 漢字é\u0301", min_size=1, max_size=12), st.sampled_from("mnop")),
    max_size=6,
)


def width(line: list[Segment]) -> int:
    return sum(cell_len(text) for text, _ in line)


def text_of(line: list[Segment]) -> str:
    return "".join(text for text, _ in line)


@given(PIECES, st.integers(0, 20), st.integers(1, 30))
def test_a_clipped_line_takes_exactly_its_cells(
    line: list[Segment], start: int, cells: int
) -> None:
    assert width(fmt.clip(line, start, cells)) == cells


@given(st.text("ab é", max_size=12), st.integers(0, 14), st.integers(1, 14))
def test_a_plain_text_is_clipped_as_any_other(text: str, start: int, cells: int) -> None:
    # What is no list is clipped piece by piece.
    slowly = [piece for piece in fmt.clip(iter([(text, "m")]), start, cells) if piece[0]]
    assert [piece for piece in fmt.clip([(text, "m")], start, cells) if piece[0]] == slowly


def test_a_clipped_line_shows_that_it_goes_on() -> None:
    assert fmt.clip([("abcdef", "m")], 0, 6) == [("abcdef", "m")]
    assert fmt.clip([("abcdefg", "m")], 0, 6) == [("abcde", "m"), ("\u203a", "more")]
    assert fmt.clip([("abc", "m")], 1, 4) == [("bc", "m"), ("  ", MESSAGE)]
    assert text_of(fmt.clip([("漢字", "m")], 1, 4)) == " 字 "


@given(PIECES, st.integers(3, 30), st.booleans(), st.data())
def test_a_wrapped_line_fits_and_loses_no_letter(
    line: list[Segment],
    cells: int,
    words: bool,  # noqa: FBT001 - an example, not a switch
    data: st.DataObject,
) -> None:
    indent = data.draw(st.integers(0, cells // 3))
    rows = fmt.wrap(line, cells, words=words, indent=indent)
    assert all(width(row) <= cells for row in rows)
    assert "".join(map(text_of, rows)).replace(" ", "") == text_of(line).replace(" ", "")


def test_wrapping_breaks_at_newlines_and_is_bounded() -> None:
    assert fmt.wrap([("a", "m"), ("⏎", NEWLINE), ("b", "m")], 5) == [[("a", "m")], [("b", "m")]]
    rows = fmt.wrap([("x" * 100_000, "m")], 10)
    assert len(rows) == fmt.WRAPPED_ROWS_MAX + 1
    assert text_of(rows[-1]).startswith("(truncat")


def test_wrapping_between_words() -> None:
    rows = fmt.wrap([("one two three", "m")], 7, words=True, indent=2)
    assert [text_of(row) for row in rows] == ["one two", "  three"]


def test_a_word_longer_than_any_row_begins_where_it_stands() -> None:
    rows = fmt.wrap([("id ", "m"), ("4004003582", "m")], 7, words=True, indent=3)
    assert [text_of(row) for row in rows] == ["id 4004", "   0035", "   82"]


@given(PIECES, st.sampled_from(["a", "b+", "漢", "a.b", "x*"]))
def test_highlighting_changes_roles_and_no_text(line: list[Segment], pattern: str) -> None:
    marked = fmt.highlight(line, compile_pattern(pattern))
    assert text_of(marked) == text_of(line)
    found = "".join(m[0] for m in re.finditer(pattern, text_of(line)))
    assert "".join(text for text, role in marked if role == "match") == found


def test_highlighting_crosses_pieces() -> None:
    marked = fmt.highlight([("one tw", "m"), ("o three", "n")], compile_pattern("two"))
    assert marked == [("one ", "m"), ("tw", "match"), ("o", "match"), (" three", "n")]


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        (TimeMode.UTC, "12:00:01.234"),
        (TimeMode.LOCAL, "14:00:01.234"),
        (TimeMode.RELATIVE, " -10s"),
        (TimeMode.DELTA, "+0.234"),
    ],
)
def test_the_time_column(mode: TimeMode, shown: str) -> None:
    columns = ColumnLayout(time=mode, zone=timezone(timedelta(hours=2)))
    text = fmt.time_text(
        EPOCH_MS + 1_234, columns, now_ms=EPOCH_MS + 11_300, previous_ms=EPOCH_MS + 1_000
    )
    assert text.strip() == shown.strip()
    assert cell_len(text) == columns.time_cells


@given(
    st.integers(0, 2**53 - 1),
    st.integers(0, 2**53 - 1),
    st.sampled_from(TimeMode),
    st.booleans(),
)
def test_the_time_column_keeps_its_width(
    timestamp: int,
    now: int,
    mode: TimeMode,
    dated: bool,  # noqa: FBT001
) -> None:
    columns = ColumnLayout(time=mode, dated=dated)
    text = fmt.time_text(timestamp, columns, now_ms=now, previous_ms=now)
    assert cell_len(text) == columns.time_cells


def test_dates_where_the_log_spans_days() -> None:
    text = fmt.time_text(EPOCH_MS, ColumnLayout(dated=True), now_ms=0, previous_ms=None)
    assert text == "11-23 12:00:00.000"


@pytest.mark.parametrize(
    ("name", "cells", "shown"),
    [
        ("web/app/7c1e09", 14, "web/app/7c1e09"),
        ("web/app/7c1e09", 16, "web/app/7c1e09  "),
        ("web/app/7c1e09", 12, "w/app/7c1e09"),
        ("worker/render/exec-0008", 13, "w/r/exec-0008"),
        ("web/app/0123456789abcdef0123456789abcdef", 12, "w/a/…9abcdef"),
        ("a-name-without-folders-at-all", 12, "a-na…-at-all"),
        ("a\x1b[2J", 8, "a␛[2J   "),
    ],
)
def test_stream_names(name: str, cells: int, shown: str) -> None:
    assert fmt.stream_text(name, cells) == shown


@given(st.text(max_size=60), st.integers(8, 40))
def test_stream_names_take_exactly_their_cells(name: str, cells: int) -> None:
    assert cell_len(fmt.stream_text(name, cells)) == cells


def test_a_stream_keeps_its_colour() -> None:
    assert fmt.stream_role("web/app/7c1e09") == fmt.stream_role("web/app/7c1e09")
    assert len({fmt.stream_role(f"stream-{number}") for number in range(300)}) == 24
    assert fmt.stream_role("\ud800").startswith("stream.")


def test_the_sign_before_the_time() -> None:
    assert fmt.gutter("live", late=False, confirmed=True) == (" ", "gutter.live")
    assert fmt.gutter("backfill", late=False, confirmed=True)[0] == "↑"
    assert fmt.gutter("repair", late=False, confirmed=True)[0] == "+"
    assert fmt.gutter("repair", late=True, confirmed=True)[0] == "~"
    assert fmt.gutter("live", late=True, confirmed=False)[0] == "?"
    assert fmt.gutter("backfill", late=False, confirmed=True, ascii_only=True)[0] == "^"


def test_levels_are_letters_and_tints() -> None:
    assert fmt.level_segment("error") == ("E", "level.error")
    assert fmt.level_segment(None)[0] == " "
    assert fmt.message_segments("boom", "error") == [("boom", "message.error")]
    assert fmt.message_segments("fine", "info") == [("fine", MESSAGE)]
    coloured = fmt.message_segments("\x1b[32mok\x1b[0m boom", "error")
    assert coloured == [("ok", "sgr:2:"), (" boom", "message.error")]


def test_rules_say_what_happened_and_when() -> None:
    rule = make_rule(1, EPOCH_MS, "offline", through_ms=EPOCH_MS + 10_200, count=203)
    assert fmt.rule_text(rule) == ("offline 10.2 s · 203 lines recovered", "rule.warn")
    gap = make_rule(
        2,
        EPOCH_MS,
        "gap",
        state="repairing",
        reason="a scan found more",
        through_ms=EPOCH_MS + 4_000,
    )
    text, role = fmt.rule_text(gap)
    assert "12:00:00 to 12:00:04" in text
    assert role == "rule.warn"
    lost = make_rule(3, EPOCH_MS, "lost", reason="retention", through_ms=EPOCH_MS)
    assert fmt.rule_text(lost)[1] == "rule.bad"
    assert fmt.rule_text(make_rule(4, EPOCH_MS, "gap", state="repaired"))[1] == "rule.ok"


@given(st.text(max_size=80), st.integers(10, 100))
def test_rules_cross_the_screen(text: str, cells: int) -> None:
    assert width(fmt.rule_segments(text, "rule.bad", cells)) == cells


def test_every_kind_of_rule_has_a_text_and_a_role() -> None:
    for kind in get_args(RuleKind):
        rule = Rule(
            key=rule_key(0, 1), kind=kind, target=0, from_ms=0, through_ms=None, reason="why"
        )
        text, role = rule_text(rule)
        assert text
        assert role
