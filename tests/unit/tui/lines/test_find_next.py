from __future__ import annotations

import re
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.patterns import compile_pattern
from tests.property.test_timeline import small_blocks
from tests.support.fake_engine import EPOCH_MS, make_line, make_rule
from tui.lines.packed import PackedRows
from tui.lines.rows import Line
from tui.lines.timeline import Timeline
from tui.lines.view import BlockTest, LevelTest, TextTest, View, find_in_timeline, find_in_view

TEXTS = ("line 7", "ERROR line", "[warn] 77", "nothing", "é ERROR 7")


def has_seven(line: Line) -> bool:
    return "7" in line.message


def filled(count: int) -> Timeline:
    timeline = Timeline()
    timeline.add_many(make_line(number, f"line {number}") for number in range(count))
    return timeline


@pytest.mark.parametrize("filtered", [False, True])
def test_finding_in_a_view(filtered: bool) -> None:  # noqa: FBT001 - an example, not a switch
    timeline = filled(100)
    view = View(timeline)
    if filtered:
        view.show_passing(lambda line: "9" not in line.message)
    key = timeline.row(50).key
    assert find_in_view(view, key, 1, has_seven) == (timeline.row(57).key, None)
    assert find_in_view(view, key, -1, has_seven) == (timeline.row(47).key, None)
    assert find_in_view(view, timeline.row(99).key + 1, 1, has_seven) == (None, None)
    found, on = find_in_view(view, key, -1, lambda line: line.message == "line 3", rows=10)
    assert found is None
    while on is not None:
        found, on = find_in_view(view, on, -1, lambda line: line.message == "line 3", rows=10)
    assert found == timeline.row(3).key


def test_rules_are_not_found() -> None:
    timeline = filled(10)
    timeline.add_many([make_rule(1, EPOCH_MS + 350, "offline")])
    assert find_in_view(View(timeline), 0, 1, has_seven)[0] is not None


def find(timeline: Timeline, start: int, direction: int, test: BlockTest, rows: int) -> int | None:
    """Find slice by slice, as the viewer does."""
    at: int | None = start
    while at is not None:
        found, at = find_in_timeline(timeline, at, direction, test, rows)
        if found is not None:
            return found
    return None


lines = st.tuples(st.integers(0, 300), st.sampled_from(TEXTS))


@given(
    st.lists(st.lists(lines, max_size=30), min_size=1, max_size=6),
    st.sampled_from(
        [
            TextTest(compile_pattern("7")),
            TextTest(compile_pattern("error", ignores_case=True)),
            LevelTest("warn"),
        ]
    ),
    st.integers(1, 40),
)
def test_finding_in_blocks_equals_testing_each_line(
    batches: list[list[tuple[int, str]]], test: BlockTest, rows: int
) -> None:
    with small_blocks():
        timeline = Timeline()
        for number, batch in enumerate(batches):
            made = [make_line(at, text, at_ms=EPOCH_MS + at) for at, text in batch]
            timeline.add_many({line.key: line for line in made}.values())
            timeline.add_many([make_rule(number, EPOCH_MS + 50 * number, "offline")])
            timeline.tidy()
        held = list(timeline.iterate())
        wanted = [row.key for row in held if isinstance(row, Line) and test(row)]
        for start in (
            0,
            *(row.key + more for row in held[::7] for more in (0, 1)),
            held[-1].key + 1,
        ):
            below = next((key for key in wanted if key >= start), None)
            above = next((key for key in reversed(wanted) if key < start), None)
            assert find(timeline, start, 1, test, rows) == below
            assert find(timeline, start, -1, test, rows) == above


def test_finding_unpacks_no_block() -> None:
    with patch("tui.lines.blocks.CHUNK_ROWS", 64), patch("tui.lines.blocks.OPEN_MAX", 2):
        timeline = filled(4_000)
    with patch.object(PackedRows, "rows", side_effect=AssertionError("unpacked")):
        for text in ("line 20$", "line 3999"):
            for start, direction in ((0, 1), (timeline.row(3_999).key + 1, -1)):
                test = TextTest(compile_pattern(text))
                found = find(timeline, start, direction, test, 64)
                assert found == timeline.row(int(re.findall("[0-9]+", text)[0])).key


def test_nothing_is_found_in_an_empty_timeline() -> None:
    for direction in (1, -1):
        assert find_in_timeline(Timeline(), 5, direction, LevelTest("warn")) == (None, None)


def test_a_line_without_a_level_is_not_found() -> None:
    found = [LevelTest("info")(make_line(at, text)) for at, text in enumerate(TEXTS)]
    assert found == [False, True, True, False, True]
