from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_engine import EPOCH_MS, make_line, make_rule
from tui.lines.around import AroundSieve
from tui.lines.rows import Change, Line, Row
from tui.lines.timeline import Timeline


def is_hit(line: Line) -> bool:
    return "hit" in line.message


def filled(hits: set[int], count: int) -> Timeline:
    timeline = Timeline()
    timeline.add_many(make_line(n, "hit" if n in hits else "x") for n in range(count))
    return timeline


def sieved(timeline: Timeline, around: int, rows: int = 4096) -> AroundSieve:
    sieve = AroundSieve(timeline, is_hit, around)
    while sieve.step(rows):
        pass
    return sieve


def numbers(sieve: AroundSieve, timeline: Timeline) -> list[int]:
    rows = [timeline.find(key) for key in sieve.keys]
    return [row.seq - 1 for row in rows if isinstance(row, Line)]


def test_rows_before_and_after() -> None:
    timeline = filled({5, 20, 23}, 30)
    sieve = sieved(timeline, 2)
    assert numbers(sieve, timeline) == [3, 4, 5, 6, 7, 18, 19, 20, 21, 22, 23, 24, 25]
    assert sieve.lines == 3
    assert sieve.is_hit(timeline.row(5).key)
    assert not sieve.is_hit(timeline.row(6).key)
    between = [timeline.row(index).key for index in (7, 18, 19)]
    assert sieve.hidden_between(between[0], between[1]) == 10
    assert sieve.hidden_between(between[1], between[2]) == 0


def test_at_the_ends() -> None:
    timeline = filled({0, 29}, 30)
    assert numbers(sieved(timeline, 2), timeline) == [0, 1, 2, 27, 28, 29]
    assert list(sieved(Timeline(), 3).keys) == []


def test_what_comes_after_a_hit_stands_beside_it() -> None:
    timeline = filled({9}, 10)
    sieve = sieved(timeline, 2)
    sieve.apply(timeline.add_many([make_line(10, "x")]))
    sieve.apply(timeline.add_many([make_line(11, "x"), make_line(12, "x")]))
    assert numbers(sieve, timeline) == [7, 8, 9, 10, 11]
    sieve.apply(timeline.add_many([make_line(20, "hit")]))
    assert numbers(sieve, timeline) == [7, 8, 9, 10, 11, 12, 20]


def test_a_late_row_takes_nothing_away() -> None:
    timeline = filled({5}, 10)
    sieve = sieved(timeline, 1)
    late = make_line(90, "x", at_ms=EPOCH_MS + 550)
    sieve.apply(timeline.add_many([late]))
    assert numbers(sieve, timeline) == [4, 5, 90, 6]
    sieve.apply(timeline.add_many([make_line(91, "hit", at_ms=EPOCH_MS + 850)]))
    assert numbers(sieve, timeline) == [4, 5, 90, 6, 8, 91, 9]


def test_rules_pass_and_count_as_no_line() -> None:
    timeline = filled({5}, 20)
    timeline.add_many([make_rule(1, EPOCH_MS + 1_550, "offline")])
    timeline.add_many([make_rule(2, EPOCH_MS + 550, "offline")])
    sieve = sieved(timeline, 1)
    assert len(sieve.keys) == 4
    assert sieve.lines == 1
    sieve.apply(timeline.add_many([make_rule(3, EPOCH_MS + 1_050, "gap")]))
    assert len(sieve.keys) == 5


def test_what_left_memory_is_no_longer_shown() -> None:
    timeline = filled({5, 15}, 20)
    sieve = sieved(timeline, 1)
    gone = timeline.row(4).key, timeline.row(6).key
    sieve.apply(Change(evicted=3, removed=(gone,)))
    assert numbers(sieve, timeline) == [14, 15, 16]
    assert sieve.lines == 1


@pytest.mark.parametrize("around", [1, 3])
@given(data=st.data())
def test_as_if_looked_at_whole(around: int, data: st.DataObject) -> None:
    """However the lines come and are gone over, at least what a fresh look shows is shown."""
    chance = random.Random(data.draw(st.integers(0, 1 << 20)))
    rows: list[Row] = [make_line(n, chance.choice(["hit", "x", "x", "x", "x"])) for n in range(60)]
    rows.append(make_rule(1, EPOCH_MS + chance.randrange(6_000), "offline"))
    chance.shuffle(rows)
    timeline = Timeline()
    timeline.add_many(rows[:25])
    sieve = AroundSieve(timeline, is_hit, around)
    for at in range(25, len(rows), 6):
        if chance.random() < 0.5:
            sieve.step(7)
        sieve.apply(timeline.add_many(rows[at : at + 6]))
    while sieve.step(7):
        pass
    fresh = sieved(timeline, around)
    assert set(fresh.keys) <= set(sieve.keys)
    assert list(sieve.keys) == sorted(set(sieve.keys))
    assert (
        sieve.lines
        == fresh.lines
        == sum(isinstance(row, Line) and is_hit(row) for row in timeline.rows(0, len(timeline)))
    )
    close = {key for key in sieve.keys if not sieve.is_hit(key)}
    assert all(
        any(
            sieve.is_hit(row.key)
            for row in timeline.rows(timeline.index_of(key) - 30, timeline.index_of(key) + 30)
        ) or not isinstance(timeline.find(key), Line)
        for key in close
    )  # fmt: skip
