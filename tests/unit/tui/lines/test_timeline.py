from __future__ import annotations

import random
from unittest.mock import patch

import pytest

from tests.support.viewer.server_messages import line
from tui.lines.blocks import CHUNK_ROWS
from tui.lines.rows import Line, Rule, describe, line_key, rule_key, time_key
from tui.lines.timeline import EvictedRange, EvictedRanges, Timeline


def lines(*keys: int) -> list[Line]:
    return [line(key) for key in keys]


def keys(timeline: Timeline) -> list[int]:
    return [row.key for row in timeline.iterate()]


def rule(key: int, count: int = 1) -> Rule:
    return Rule(key=key, kind="offline", target=0, from_ms=0, through_ms=None, count=count)


def test_in_order_rows_are_appended() -> None:
    timeline = Timeline()
    change = timeline.add_many(lines(10, 20, 30))
    assert (change.added, change.appended, change.first) == (3, 3, 0)
    change = timeline.add_many(lines(40))
    assert (change.added, change.appended, change.inserted, change.first) == (1, 1, (), 3)
    assert len(timeline) == 4
    assert timeline.row(3).key == 40


def test_late_rows_are_inserted_in_order() -> None:
    timeline = Timeline()
    timeline.add_many(lines(10, 30, 50))
    change = timeline.add_many(lines(40, 20, 60))
    assert (change.added, change.appended, change.inserted) == (3, 1, (20, 40))
    assert change.first == 1
    assert keys(timeline) == [10, 20, 30, 40, 50, 60]


def test_a_known_key_replaces_its_row() -> None:
    timeline = Timeline()
    timeline.add_many(lines(10, 20))
    change = timeline.add_many([line(20, "new"), line(20, "newer")])
    assert (change.added, change.replaced, change.first) == (0, (20, 20), None)
    found = timeline.find(20)
    assert isinstance(found, Line)
    assert found.message == "newer"
    assert bool(change)


def test_duplicates_within_a_batch_are_one_row() -> None:
    timeline = Timeline()
    assert timeline.add_many(lines(10, 10)).added == 1
    assert len(timeline) == 1


def test_nothing_is_no_change() -> None:
    timeline = Timeline()
    assert not timeline.add_many([])
    assert timeline.rows(0, 10) == []
    assert timeline.index_of(5) == 0
    assert timeline.find(5) is None
    assert list(timeline.iterate()) == []


@pytest.mark.parametrize("index", [-1, 2])
def test_an_index_out_of_range(index: int) -> None:
    timeline = Timeline()
    timeline.add_many(lines(10, 20))
    with pytest.raises(IndexError):
        timeline.row(index)


def test_an_index_is_the_number_of_rows_below_a_key() -> None:
    timeline = Timeline()
    made = list(range(0, 10 * CHUNK_ROWS, 2))
    shuffled = made.copy()
    random.Random(4).shuffle(shuffled)
    for begin in range(0, len(shuffled), 500):
        timeline.add_many(lines(*shuffled[begin : begin + 500]))
    assert keys(timeline) == made
    for index in range(0, len(made), 97):
        assert timeline.row(index).key == made[index]
        assert timeline.index_of(made[index]) == index
        assert timeline.index_of(made[index] + 1) == index + 1
    assert [row.key for row in timeline.rows(1_000, 4_000)] == made[1_000:4_000]
    assert [row.key for row in timeline.iterate(5_000)] == made[5_000:]
    assert timeline.rows(-5, 2) == timeline.rows(0, 2)


def test_the_index_of_a_time() -> None:
    timeline = Timeline()
    timeline.add_many(lines(line_key(5, "9", 1), line_key(6, "1", 0), line_key(8, "1", 0)))
    assert [timeline.index_of(time_key(ms)) for ms in (5, 6, 7, 9)] == [0, 1, 2, 3]


def test_beyond_the_capacity_the_oldest_are_evicted_and_a_rule_says_so() -> None:
    timeline = Timeline(capacity=3 * CHUNK_ROWS)
    change = timeline.add_many(lines(*range(0, 8 * CHUNK_ROWS * 256, 256)))
    assert change.added - change.evicted == len(timeline)
    assert timeline.lines == 3 * CHUNK_ROWS
    assert timeline.evicted == 5 * CHUNK_ROWS
    top = timeline.row(0)
    assert isinstance(top, Rule)
    assert describe(top).startswith(f"{5 * CHUNK_ROWS:,} lines not in memory")
    change = timeline.add_many(lines(300, 9 * CHUNK_ROWS * 256))
    assert (change.added, timeline.evicted) == (1, 5 * CHUNK_ROWS + 1)
    timeline.add_many(lines(*range(10 * CHUNK_ROWS * 256, 12 * CHUNK_ROWS * 256, 256)))
    rules = [row for row in timeline.iterate() if isinstance(row, Rule)]
    assert [one.count for one in rules] == [timeline.evicted]
    assert timeline.evicted_through_ms == 0


def test_nothing_is_evicted_at_first() -> None:
    assert Timeline().evicted_through_ms is None


def test_rules_stand_at_their_time_and_are_not_counted_as_lines() -> None:
    timeline = Timeline()
    at = rule_key(6, 1)
    timeline.add_many([*lines(line_key(5, "9", 0), line_key(6, "90000", 0)), rule(at)])
    timeline.add_many([rule(at, 7)])
    assert (len(timeline), timeline.lines) == (3, 2)
    assert timeline.index_of(at) == 1
    assert timeline.row(1).timestamp == 6
    assert at > time_key(6)


def test_an_era_makes_older_lines_unconfirmed() -> None:
    timeline = Timeline()
    key, other = line_key(5, "1", 0), line_key(5, "1", 1)
    timeline.add_many(lines(key, other))
    assert timeline.begin_era(0, 1).restyled
    old, foreign = timeline.row(0), timeline.row(1)
    assert isinstance(old, Line)
    assert isinstance(foreign, Line)
    assert not timeline.is_confirmed(old)
    assert timeline.is_confirmed(foreign)
    again = Line(key, 9, None, "s", "m", "live", 0, 1)
    timeline.add_many([again])
    assert timeline.is_confirmed(again)


def test_single_lines_can_become_unconfirmed() -> None:
    timeline = Timeline()
    timeline.add_many(lines(256, 512))
    assert timeline.unconfirm([512, 768]).replaced == (512,)
    second = timeline.row(1)
    assert isinstance(second, Line)
    assert not timeline.is_confirmed(second)


def test_changes_add_up() -> None:
    timeline = Timeline()
    first = timeline.add_many(lines(10, 30))
    second = timeline.add_many(lines(20, 40))
    both = first.then(second).then(timeline.begin_era(0, 1))
    assert (both.added, both.appended, both.inserted, both.first) == (4, 3, (20,), 0)
    assert both.restyled


def piece(low: int, high: int, count: int = 3) -> EvictedRange:
    return EvictedRange(low, high, count, low)


def test_a_key_belongs_to_one_evicted_range_at_most() -> None:
    evicted = EvictedRanges()
    evicted.add(piece(0, 9))
    evicted.add(piece(20, 29))
    found = evicted.at(25)
    assert found is not None
    assert (found.low, evicted.at(15), evicted.at(30)) == (20, None, None)
    assert [evicted.floor(key) for key in (5, 15, 29, 30)] == [0, 10, 10, 30]
    assert evicted.lines == 6


def test_adjacent_ranges_are_one_run_and_one_range_while_small() -> None:
    with patch("tui.lines.timeline.RANGE_LINES", 8):
        evicted = EvictedRanges()
        for low in (0, 10, 20):
            evicted.add(piece(low, low + 9))
    assert [(one.low, one.high, one.count) for one in evicted.ranges] == [(0, 19, 6), (20, 29, 3)]
    assert [(run.low, run.high, run.lines) for run in evicted.runs()] == [(0, 29, 9)]


def test_a_run_has_the_state_of_any_of_its_ranges() -> None:
    with patch("tui.lines.timeline.RANGE_LINES", 1):
        evicted = EvictedRanges()
        evicted.add(piece(0, 9))
        evicted.add(piece(10, 19))
    evicted.ranges[1].state = "fetching"
    assert [run.state for run in evicted.runs()] == ["fetching"]


def test_new_lines_are_counted_and_rules_kept_in_their_range() -> None:
    evicted = EvictedRanges()
    evicted.add(piece(0, 9))
    rule = Rule(key=5, kind="gap", target=0, from_ms=0, through_ms=0)
    late = line(4, late_ms=7)
    assert evicted.absorb([line(3), late, rule, line(12)]) == [line(12)]
    evicted.absorb([rule])
    assert (evicted.lines, evicted.ranges[0].rules, evicted.ranges[0].late) == (5, [rule], {4: 7})


def test_history_that_arrives_newest_first_makes_ranges_that_fit_a_page() -> None:
    with patch("tui.lines.timeline.RANGE_LINES", 10):
        evicted = EvictedRanges()
        evicted.add(EvictedRange(0, 1_000, 4, 900))
        for high in range(900, 0, -5):
            evicted.absorb([line(key) for key in range(high - 5, high)])
    assert evicted.lines == 904
    assert max(one.count for one in evicted.ranges) == 10
    assert [one.low for one in evicted.ranges] == [
        0,
        *[one.high + 1 for one in evicted.ranges[:-1]],
    ]
    assert evicted.ranges[-1].high == 1_000


def test_a_range_is_cut_where_a_page_ended() -> None:
    evicted = EvictedRanges()
    evicted.add(EvictedRange(0, 99, 10, 5, {7: 1, 70: 2}))
    upper = evicted.ranges[0]
    lower = evicted.cut(upper, 50, 4)
    assert [(one.low, one.high, one.count) for one in evicted.ranges] == [(0, 50, 4), (51, 99, 6)]
    assert (evicted.ranges[0] is lower, lower.late, evicted.ranges[1].late) == (
        True,
        {7: 1},
        {70: 2},
    )
    evicted.remove(lower)
    assert (evicted.lines, len(evicted.ranges)) == (6, 1)
