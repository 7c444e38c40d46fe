from __future__ import annotations

import random
import re
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.patterns import compile_pattern
from tests.property.test_timeline import small_blocks
from tests.support.fake_engine import EPOCH_MS, busy_lines, make_line, make_rule
from tui.lines.filters import Filters
from tui.lines.packed import PackedRows
from tui.lines.rows import Change, Line, Row
from tui.lines.timeline import Timeline
from tui.lines.view import (
    AllTests,
    BlockTest,
    ContextRows,
    LevelTest,
    MatchingRows,
    TextTest,
    View,
    find_in_timeline,
    find_in_view,
)


def has_seven(line: Line) -> bool:
    return "7" in line.message


def expected(timeline: Timeline, *, rules: bool = True) -> list[int]:
    return [
        row.key
        for row in timeline.rows(0, len(timeline))
        if (has_seven(row) if isinstance(row, Line) else rules)
    ]


def filters() -> Iterator[Filters]:
    for what, excludes in (
        ("line 1", True),
        ("l", False),
        ("/line 1[0-9]/", False),
        ("stream=s/3", False),
        ("stream=s/3", True),
        ("level=error", False),
        ("level=error", True),
        ("origin=live", False),
        ("group=lane", False),
        ("n>5", False),
        ("n=7 !level=error", True),
    ):
        filters = Filters(lambda target: "lane" if target == 1 else "")
        filters.add(what, excludes=excludes)
        yield filters
        several = Filters(filters._group_name)
        several.add(what, excludes=excludes)
        several.add("/[0-9]/", excludes=False)
        several.hidden_streams = frozenset({(0, "s/1"), (1, "s/2")})
        several.minimum_level = "info"
        yield several


def filled(count: int) -> Timeline:
    timeline = Timeline()
    timeline.add_many(make_line(number, f"line {number}") for number in range(count))
    return timeline


def test_all_rows_are_the_timelines() -> None:
    timeline = filled(50)
    view = View(timeline)
    assert len(view) == 50
    assert view.rows(10, 12) == timeline.rows(10, 12)
    assert view.index_of(timeline.row(7).key) == 7


def test_the_newest_rows_are_there_at_once() -> None:
    timeline = filled(10_000)
    view = View(timeline)
    view.show_passing(has_seven)
    assert view.matching is not None
    assert not view.matching.is_done
    assert view.rows(len(view) - 1, len(view))[0].key == timeline.row(9_997).key
    while view.matching.step():
        pass
    assert list(view.matching.keys) == expected(timeline)
    assert view.lines == len(view)


def test_packed_blocks_are_filtered_without_unpacking() -> None:
    with patch("tui.lines.blocks.CHUNK_ROWS", 64), patch("tui.lines.blocks.OPEN_MAX", 2):
        timeline = filled(4_000)
    matching = MatchingRows(timeline, TextTest(compile_pattern("7")), rules=True)
    wanted = expected(timeline)
    with patch.object(PackedRows, "rows", side_effect=AssertionError("unpacked")):
        while matching.step(64):
            pass
    assert list(matching.keys) == wanted


def test_rules_pass_any_filter() -> None:
    timeline = filled(20)
    timeline.add_many([make_rule(1, EPOCH_MS + 500, "offline")])
    view = View(timeline)
    view.show_passing(lambda _line: False)
    assert len(view) == 1
    assert view.lines == 0
    view.apply(timeline.add_many([make_rule(2, EPOCH_MS + 700, "gap", state="repaired")]))
    assert len(view) == 2


@given(st.integers(0, 2**32), st.sampled_from([1, 7, 40, 300, 1_000]), st.booleans())
def test_changes_during_filtering_do_not_affect_the_result(
    seed: int,
    slice_rows: int,
    coalesced: bool,  # noqa: FBT001 - an example, not a switch
) -> None:
    chance = random.Random(seed)
    with (
        patch("tui.lines.blocks.OPEN_MAX", 3),
        patch("tui.lines.blocks.CHUNK_ROWS", chance.choice([64, 1_024])),
    ):
        _whatever_happens(chance, slice_rows, coalesced=coalesced)


def _whatever_happens(chance: random.Random, slice_rows: int, *, coalesced: bool) -> None:
    timeline = Timeline(capacity=chance.choice([1_100, 1_000_000]))
    numbers = list(range(4_000))
    chance.shuffle(numbers)
    made = [make_line(number, f"line {number}") for number in numbers]
    timeline.add_many(made[: chance.randrange(1_500)])
    test = has_seven if chance.random() < 0.5 else TextTest(compile_pattern("7"))
    matching = MatchingRows(timeline, test, rules=True)
    waiting = Change()
    for number in range(12):
        batch: list[Row] = list(chance.sample(made, chance.randrange(1, 200)))
        batch += sorted(made, key=lambda line: line.key)[-chance.randrange(1, 5) :]
        if chance.random() < 0.3:
            at = EPOCH_MS + chance.randrange(400_000)
            batch.append(make_rule(number, at, "gap", state="repairing"))
        waiting = waiting.then(timeline.add_many(batch))
        if not coalesced or chance.random() < 0.4:
            matching.apply(waiting)
            waiting = Change()
        if chance.random() < 0.5:
            matching.step(slice_rows)
    matching.apply(waiting)
    while matching.step():
        pass
    assert list(matching.keys) == expected(timeline)


def test_no_row_is_tested_twice() -> None:
    timeline = filled(100)
    seen: list[int] = []

    def test(line: Line) -> bool:
        seen.append(line.key)
        return True

    matching = MatchingRows(timeline, test, rules=True)
    while matching.step(30):
        pass
    first = timeline.add_many(make_line(number, "new") for number in range(200, 210))
    second = timeline.add_many([make_line(205, "between", at_ms=EPOCH_MS + 20_450)])
    matching.apply(first.then(second))
    assert len(seen) == len(set(seen)) == 111


def test_busy_lines_are_the_same_for_the_same_seed() -> None:
    assert list(busy_lines(50)) == list(busy_lines(50))


KINDS = ("INFO #\n", "ERROR #", '{"level":"warn","n":7,"text":"#"}', "é #")


@pytest.fixture(scope="module")
def in_blocks() -> Timeline:
    """Open, packed and compressed blocks, some with late lines and a rule in between."""
    chance = random.Random(5)
    with patch("tui.lines.blocks.OPEN_MAX", 2), patch("tui.lines.blocks.UNCOMPRESSED_MAX", 4):
        return _in_blocks(chance, Timeline())


def _in_blocks(chance: random.Random, timeline: Timeline) -> Timeline:
    for begin in range(0, 12_000, 1_000):
        numbers = range(begin, begin + 1_000)
        timeline.add_many(
            make_line(
                n,
                chance.choice(KINDS).replace("#", f"Line {n}"),
                stream=f"s/{n % 5}",
                origin="repair" if n % 7 else "live",
                target=n % 2,
            )
            for n in numbers
        )
        timeline.tidy()
    late = [make_line(50_000 + n, "line 77", at_ms=EPOCH_MS + 50 + n * 1_000) for n in range(900)]
    timeline.add_many(chance.sample(late, 900))
    timeline.add_many([make_rule(1, EPOCH_MS + 70, "gap")])
    kinds = {one.packed is not None and one.packed.is_compressed for one in timeline._blocks}
    assert kinds == {True, False}
    return timeline


@pytest.mark.parametrize(
    "test",
    [
        *(
            TextTest(compile_pattern(text, ignores_case=True))
            for text in ("line 77", "line 7+$", "l")
        ),
        AllTests(TextTest(compile_pattern("7")), TextTest(compile_pattern("1"))),
        *(one.test() for one in filters()),
    ],
)
def test_block_tests_equal_line_tests(in_blocks: Timeline, test: BlockTest) -> None:
    in_bulk, one_by_one = (
        MatchingRows(in_blocks, one, rules=True) for one in (test, test.__call__)
    )
    for matching in (in_bulk, one_by_one):
        while matching.step():
            pass
    assert list(in_bulk.keys) == list(one_by_one.keys)
    assert in_bulk.lines == one_by_one.lines > 0


@pytest.mark.parametrize("some", list(filters()))
def test_hits_are_counted_the_same(in_blocks: Timeline, some: Filters) -> None:
    counts = []
    for is_bulk in (True, False):
        test = some.test()
        assert test is not None
        matching = MatchingRows(in_blocks, test if is_bulk else test.__call__, rules=True)
        while matching.step():
            pass
        counts.append([chip.hits for chip in some.chips])
    assert counts[0] == counts[1]
    assert counts[0][0] > 0


def is_match(line: Line) -> bool:
    return "hit" in line.message


def filled_around(hits: set[int], count: int) -> Timeline:
    timeline = Timeline()
    timeline.add_many(make_line(n, "hit" if n in hits else "x") for n in range(count))
    return timeline


def sieved(timeline: Timeline, around: int, rows: int = 4096) -> ContextRows:
    matching = ContextRows(timeline, is_match, around)
    while matching.step(rows):
        pass
    return matching


def numbers(matching: ContextRows, timeline: Timeline) -> list[int]:
    rows = [timeline.find(key) for key in matching.keys]
    return [row.seq - 1 for row in rows if isinstance(row, Line)]


def test_context_lines_before_and_after() -> None:
    timeline = filled_around({5, 20, 23}, 30)
    matching = sieved(timeline, 2)
    assert numbers(matching, timeline) == [3, 4, 5, 6, 7, 18, 19, 20, 21, 22, 23, 24, 25]
    assert matching.lines == 3
    assert matching.is_match(timeline.row(5).key)
    assert not matching.is_match(timeline.row(6).key)
    between = [timeline.row(index).key for index in (7, 18, 19)]
    assert matching.count_hidden_between(between[0], between[1]) == 10
    assert matching.count_hidden_between(between[1], between[2]) == 0


def test_context_lines_at_the_ends() -> None:
    timeline = filled_around({0, 29}, 30)
    assert numbers(sieved(timeline, 2), timeline) == [0, 1, 2, 27, 28, 29]
    assert list(sieved(Timeline(), 3).keys) == []


def test_a_row_that_arrives_after_a_match_is_a_context_line() -> None:
    timeline = filled_around({9}, 10)
    matching = sieved(timeline, 2)
    matching.apply(timeline.add_many([make_line(10, "x")]))
    matching.apply(timeline.add_many([make_line(11, "x"), make_line(12, "x")]))
    assert numbers(matching, timeline) == [7, 8, 9, 10, 11]
    matching.apply(timeline.add_many([make_line(20, "hit")]))
    assert numbers(matching, timeline) == [7, 8, 9, 10, 11, 12, 20]


def test_a_late_row_removes_no_context_line() -> None:
    timeline = filled_around({5}, 10)
    matching = sieved(timeline, 1)
    late = make_line(90, "x", at_ms=EPOCH_MS + 550)
    matching.apply(timeline.add_many([late]))
    assert numbers(matching, timeline) == [4, 5, 90, 6]
    matching.apply(timeline.add_many([make_line(91, "hit", at_ms=EPOCH_MS + 850)]))
    assert numbers(matching, timeline) == [4, 5, 90, 6, 8, 91, 9]


def test_rules_pass_and_are_not_counted() -> None:
    timeline = filled_around({5}, 20)
    timeline.add_many([make_rule(1, EPOCH_MS + 1_550, "offline")])
    timeline.add_many([make_rule(2, EPOCH_MS + 550, "offline")])
    matching = sieved(timeline, 1)
    assert len(matching.keys) == 4
    assert matching.lines == 1
    matching.apply(timeline.add_many([make_rule(3, EPOCH_MS + 1_050, "gap")]))
    assert len(matching.keys) == 5


def test_evicted_rows_are_no_longer_shown() -> None:
    timeline = filled_around({5, 15}, 20)
    matching = sieved(timeline, 1)
    gone = timeline.row(4).key, timeline.row(6).key
    matching.apply(Change(evicted=3, removed=(gone,)))
    assert numbers(matching, timeline) == [14, 15, 16]
    assert matching.lines == 1


@pytest.mark.parametrize("around", [1, 3])
@given(data=st.data())
def test_step_by_step_shows_at_least_what_one_step_shows(around: int, data: st.DataObject) -> None:
    """In whatever order lines arrive and are tested, no context line of a new filter is missing."""
    chance = random.Random(data.draw(st.integers(0, 1 << 20)))
    rows: list[Row] = [make_line(n, chance.choice(["hit", "x", "x", "x", "x"])) for n in range(60)]
    rows.append(make_rule(1, EPOCH_MS + chance.randrange(6_000), "offline"))
    chance.shuffle(rows)
    timeline = Timeline()
    timeline.add_many(rows[:25])
    matching = ContextRows(timeline, is_match, around)
    for at in range(25, len(rows), 6):
        if chance.random() < 0.5:
            matching.step(7)
        matching.apply(timeline.add_many(rows[at : at + 6]))
    while matching.step(7):
        pass
    fresh = sieved(timeline, around)
    assert set(fresh.keys) <= set(matching.keys)
    assert list(matching.keys) == sorted(set(matching.keys))
    assert (
        matching.lines
        == fresh.lines
        == sum(isinstance(row, Line) and is_match(row) for row in timeline.rows(0, len(timeline)))
    )
    close = {key for key in matching.keys if not matching.is_match(key)}
    assert all(
        any(
            matching.is_match(row.key)
            for row in timeline.rows(timeline.index_of(key) - 30, timeline.index_of(key) + 30)
        ) or not isinstance(timeline.find(key), Line)
        for key in close
    )  # fmt: skip


# Finding the next row

TEXTS = ("line 7", "ERROR line", "[warn] 77", "nothing", "é ERROR 7")


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
