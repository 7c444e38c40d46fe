from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_engine import EPOCH_MS, busy_lines, make_line, make_rule
from tui.rows import Change, Line, Row
from tui.sealed import Hint
from tui.timeline import Timeline
from tui.view import HintedTest, Sieve, View, hint_of, hunt


def has_seven(line: Line) -> bool:
    return "7" in line.message


def expected(timeline: Timeline, *, rules: bool = True) -> list[int]:
    return [
        row.key
        for row in timeline.rows(0, len(timeline))
        if (has_seven(row) if isinstance(row, Line) else rules)
    ]


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
    view.select(has_seven)
    assert view.sieve is not None
    assert not view.sieve.is_done
    assert view.rows(len(view) - 1, len(view))[0].key == timeline.row(9_997).key
    while view.sieve.step():
        pass
    assert view.sieve.keys == expected(timeline)
    assert view.lines == len(view)


def test_rules_pass_any_filter() -> None:
    timeline = filled(20)
    timeline.add_many([make_rule(1, EPOCH_MS + 500, "offline")])
    view = View(timeline)
    view.select(lambda _line: False)
    assert len(view) == 1
    assert view.lines == 0
    view.apply(timeline.add_many([make_rule(2, EPOCH_MS + 700, "gap", state="repaired")]))
    assert len(view) == 2


@given(st.integers(0, 2**32), st.integers(1, 40), st.booleans())
def test_whatever_happens_meanwhile_the_sieve_ends_up_right(
    seed: int,
    slice_rows: int,
    coalesced: bool,  # noqa: FBT001 - an example, not a switch
) -> None:
    chance = random.Random(seed)
    timeline = Timeline(capacity=chance.choice([1_100, 1_000_000]))
    numbers = list(range(4_000))
    chance.shuffle(numbers)
    made = [make_line(number, f"line {number}") for number in numbers]
    timeline.add_many(made[: chance.randrange(1_500)])
    sieve = Sieve(timeline, has_seven, rules=True)
    waiting = Change()
    for number in range(12):
        batch: list[Row] = list(chance.sample(made, chance.randrange(1, 200)))
        batch += sorted(made, key=lambda line: line.key)[-chance.randrange(1, 5) :]
        if chance.random() < 0.3:
            at = EPOCH_MS + chance.randrange(400_000)
            batch.append(make_rule(number, at, "gap", state="repairing"))
        waiting = waiting.then(timeline.add_many(batch))
        if not coalesced or chance.random() < 0.4:
            sieve.apply(waiting)
            waiting = Change()
        if chance.random() < 0.5:
            sieve.step(slice_rows)
    sieve.apply(waiting)
    while sieve.step():
        pass
    assert sieve.keys == expected(timeline)


def test_no_row_is_tested_twice() -> None:
    timeline = filled(100)
    seen: list[int] = []

    def test(line: Line) -> bool:
        seen.append(line.key)
        return True

    sieve = Sieve(timeline, test, rules=True)
    while sieve.step(30):
        pass
    first = timeline.add_many(make_line(number, "new") for number in range(200, 210))
    second = timeline.add_many([make_line(205, "between", at_ms=EPOCH_MS + 20_450)])
    sieve.apply(first.then(second))
    assert len(seen) == len(set(seen)) == 111


@pytest.mark.parametrize("filtered", [False, True])
def test_hunting(filtered: bool) -> None:  # noqa: FBT001 - an example, not a switch
    timeline = filled(100)
    view = View(timeline)
    if filtered:
        view.select(lambda line: "9" not in line.message)
    key = timeline.row(50).key
    assert hunt(view, key, 1, has_seven) == (timeline.row(57).key, None)
    assert hunt(view, key, -1, has_seven) == (timeline.row(47).key, None)
    assert hunt(view, timeline.row(99).key + 1, 1, has_seven) == (None, None)
    found, on = hunt(view, key, -1, lambda line: line.message == "line 3", rows=10)
    assert found is None
    while on is not None:
        found, on = hunt(view, on, -1, lambda line: line.message == "line 3", rows=10)
    assert found == timeline.row(3).key


def test_hunting_passes_over_rules() -> None:
    timeline = filled(10)
    timeline.add_many([make_rule(1, EPOCH_MS + 350, "offline")])
    assert hunt(View(timeline), 0, 1, has_seven)[0] is not None


def test_busy_lines_are_the_same_for_the_same_seed() -> None:
    assert list(busy_lines(50)) == list(busy_lines(50))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (re.compile("line 7", re.IGNORECASE), "line 7"),
        (re.compile("line [7]"), None),
        (re.compile("line\\d"), None),
        (re.compile(""), None),
        (re.compile("line 7", re.VERBOSE), None),
    ],
)
def test_a_pattern_that_is_but_a_text(pattern: re.Pattern[str], text: str | None) -> None:
    assert hint_of(pattern) == Hint(pattern, text)


def test_a_hint_changes_nothing_but_the_time_it_takes() -> None:
    chance = random.Random(5)
    timeline = Timeline()
    numbers = list(range(40_000))
    for begin in range(0, 40_000, 1_000):
        timeline.add_many(make_line(n, f"Line {n}\n") for n in numbers[begin : begin + 1_000])
        timeline.tidy()
    late = [make_line(50_000 + n, "line 77", at_ms=EPOCH_MS + 50 + n * 1_000) for n in range(900)]
    timeline.add_many(chance.sample(late, 900))
    timeline.add_many([make_rule(1, EPOCH_MS + 70, "gap")])
    for text in ("line 77", "line 7+$", "l"):
        pattern = re.compile(text, re.IGNORECASE)

        def test(line: Line, pattern: re.Pattern[str] = pattern) -> bool:
            return pattern.search(line.message) is not None

        plain, hinted = (
            Sieve(timeline, one, rules=True) for one in (test, HintedTest(test, hint_of(pattern)))
        )
        for sieve in (plain, hinted):
            while sieve.step():
                pass
        assert hinted.keys == plain.keys
        assert hinted.lines == plain.lines > 900
