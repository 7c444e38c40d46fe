from __future__ import annotations

import pytest

from tests.support.viewer.server_messages import line
from tui.lines.rows import Line, line_key
from tui.output.ordering import (
    AHEAD_MS,
    ArrivalOrder,
    LastLines,
    PrintOrder,
    ReleaseState,
    StrictOrder,
)

HOLD_MS = 10_000
NOW = 1_000_000


def at(*times: int) -> list[Line]:
    return [line(line_key(time, "5", 0), str(time)) for time in times]


def moment(
    now_ms: int = NOW, verified_ms: int | None = None, *, is_backfilled: bool = True
) -> ReleaseState:
    return ReleaseState(now_ms, verified_ms, is_backfilled)


def taken(order: PrintOrder, when: ReleaseState) -> list[str]:
    """Messages, with a star where they are late."""
    return [one.line.message + "*" * one.is_late for one in order.take_ready(when)]


def rest(order: PrintOrder) -> list[str]:
    return [one.line.message + "*" * one.is_late for one in order.take_all()]


def held(order: PrintOrder) -> int | None:
    return order.lowest_held


def test_a_line_waits_for_its_mark() -> None:
    strict = StrictOrder(HOLD_MS)
    strict.add_lines(at(NOW - 5, NOW - 9), NOW)
    assert taken(strict, moment()) == []
    assert taken(strict, moment(verified_ms=NOW - 9)) == [str(NOW - 9)]
    assert taken(strict, moment(verified_ms=NOW - 5)) == [str(NOW - 5)]


def test_a_line_whose_hold_is_over_releases_all_before_it() -> None:
    strict = StrictOrder(HOLD_MS)
    strict.add_lines(at(NOW - 5), NOW)
    strict.add_lines(at(NOW - 7, NOW - 3), NOW + 100)
    assert taken(strict, moment(NOW + HOLD_MS - 1)) == []
    assert taken(strict, moment(NOW + HOLD_MS)) == [str(NOW - 7), str(NOW - 5)]
    assert len(strict) == 1


def test_a_line_ahead_of_the_clock_waits_and_holds_up_no_other() -> None:
    strict = StrictOrder(HOLD_MS)
    strict.add_lines(at(NOW + 60_000, NOW), NOW)
    assert taken(strict, moment(NOW + HOLD_MS)) == [str(NOW)]
    assert taken(strict, moment(NOW + 60_000 + HOLD_MS - 1)) == []
    assert taken(strict, moment(NOW + 60_000 + HOLD_MS)) == [str(NOW + 60_000)]


def test_the_end_of_output_releases_every_line() -> None:
    strict = StrictOrder(HOLD_MS)
    strict.add_lines(at(NOW + 60_000, NOW), NOW)
    assert rest(strict) == [str(NOW), str(NOW + 60_000)]
    assert held(strict) is None


def test_a_line_too_far_ahead_waits_no_longer_and_gives_a_warning() -> None:
    strict = StrictOrder(HOLD_MS)
    strict.add_lines(at(NOW + AHEAD_MS + 1), NOW)
    assert strict.take_warnings() == ["1 lines have timestamps more than 2 h ahead of the clock"]
    assert taken(strict, moment(NOW + AHEAD_MS + HOLD_MS)) == [str(NOW + AHEAD_MS + 1)]


def test_a_line_too_late_for_its_place_is_released_at_once() -> None:
    strict = StrictOrder(HOLD_MS)
    strict.add_lines(at(NOW), NOW)
    strict.take_ready(moment(verified_ms=NOW))
    strict.add_lines(at(NOW - 1, NOW + 1), NOW)
    assert taken(strict, moment()) == [f"{NOW - 1}*"]
    strict.add_lines(at(NOW - 2), NOW)
    assert rest(strict) == [f"{NOW - 2}*", str(NOW + 1)]


def test_while_history_comes_only_marks_release_lines() -> None:
    strict = StrictOrder(HOLD_MS)
    strict.add_lines(at(NOW), NOW)
    for second in range(1, 30):
        strict.add_lines(at(NOW - 50_000 + second), NOW + second * 1000)
        assert taken(strict, moment(NOW + second * 1000, is_backfilled=False)) == []
    assert len(taken(strict, moment(NOW + 30_000))) > 1


def test_stalled_history_does_not_stop_output_for_ever() -> None:
    strict = StrictOrder(HOLD_MS)
    strict.add_lines(at(NOW), NOW)
    assert taken(strict, moment(NOW + HOLD_MS, is_backfilled=False)) == [str(NOW)]


def test_beyond_the_limit_the_oldest_are_released_with_a_warning() -> None:
    strict = StrictOrder(HOLD_MS, lines_max=3)
    strict.add_lines(at(*range(NOW, NOW + 5)), NOW)
    assert taken(strict, moment()) == [str(NOW), str(NOW + 1)]
    assert strict.take_warnings() == [
        "more than 3 lines were held: 2 were printed before they were verified"
    ]
    assert strict.take_warnings() == []


def test_the_lowest_held_line_is_known() -> None:
    strict = StrictOrder(HOLD_MS)
    early, late = (one.key for one in at(NOW, NOW + 5))
    strict.add_lines(at(NOW + 5, NOW), NOW)
    assert (strict.arrived, held(strict)) == (2, early)
    strict.take_ready(moment(verified_ms=NOW))
    assert held(strict) == late
    strict.take_ready(moment(verified_ms=NOW + 5))
    assert held(strict) is None
    strict.add_lines(at(NOW), NOW)
    assert held(strict) == early, "too late, but not printed yet"


def test_in_order_of_arrival_nothing_is_held() -> None:
    arrival = ArrivalOrder()
    arrival.add_lines([*at(NOW), line(1, "old", late_ms=5)], NOW)
    assert (arrival.arrived, held(arrival)) == (2, 1)
    assert taken(arrival, moment(is_backfilled=False)) == [str(NOW), "old*"]
    assert held(arrival) is None
    assert arrival.take_warnings() == []


@pytest.mark.parametrize(("count", "past"), [(0, []), (2, ["30", "40"]), (9, ["10", "30", "40"])])
def test_only_the_last_lines_of_the_history(count: int, past: list[str]) -> None:
    order = LastLines(StrictOrder(HOLD_MS), count, start_ms=50)
    order.add_lines(at(40, 10, 50), 50)
    order.add_lines(at(30), 50)
    assert taken(order, moment(50, 99, is_backfilled=False)) == []
    assert held(order) == 0
    assert taken(order, moment(50, 99)) == [*past, "50"]
    order.add_lines(at(20, 60), 50)
    assert taken(order, moment(50, 99)) == ["20*", "60"]
    assert held(order) is None
    assert order.arrived == len(past) + 3
    assert order.left_out == ({} if count > 3 else {0: at(40 if count == 0 else 10)[0].key})


def test_lines_that_an_earlier_run_left_out_do_not_count_among_the_last() -> None:
    order = LastLines(ArrivalOrder(), 3, start_ms=None, floors={0: at(20)[0].key})
    order.add_lines(at(10, 15, 20, 30), 50)
    assert held(order) == 0
    assert rest(order) == ["20", "30"]
    assert order.left_out == {0: at(15)[0].key}


def test_at_the_end_the_last_lines_are_released_without_the_whole_history() -> None:
    order = LastLines(ArrivalOrder(), 1, start_ms=50)
    order.add_lines(at(40, 10), 50)
    assert rest(order) == ["40"]
    assert order.take_warnings() == []


@pytest.mark.parametrize(("count", "last"), [(0, []), (2, ["40", "50"]), (9, ["10", "40", "50"])])
def test_without_following_the_last_lines_of_all_are_released(count: int, last: list[str]) -> None:
    order = LastLines(StrictOrder(HOLD_MS), count, start_ms=None)
    order.add_lines(at(50, 40), 50)
    assert taken(order, moment(50, 99)) == []
    order.add_lines(at(10), 50)
    assert taken(order, moment(60, 99)) == []
    assert rest(order) == last


def test_lines_are_compared_with_the_clock_of_their_arrival() -> None:
    order = LastLines(StrictOrder(HOLD_MS), 2, start_ms=None)
    order.add_lines(at(NOW), NOW)
    assert rest(order) == [str(NOW)]
    assert order.take_warnings() == []
