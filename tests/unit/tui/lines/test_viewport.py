from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_engine import EPOCH_MS, make_line
from tui.lines.rows import Line, Row
from tui.lines.timeline import Timeline
from tui.lines.view import View
from tui.lines.viewport import Window

HEIGHT = 10


def tall(row: Row, _previous: Row | None) -> int:
    """One to three lines, by the row's number."""
    assert isinstance(row, Line)
    return row.seq % 3 + 1


def make(count: int = 100, *, wrapped: bool = False) -> tuple[Timeline, Window]:
    timeline = Timeline()
    timeline.add_many(make_line(number, f"line {number}") for number in range(count))
    window = Window(View(timeline), tall if wrapped else None)
    window.resize(HEIGHT)
    return timeline, window


def messages(window: Window) -> list[str]:
    rows = [slot.row for slot in window.slots]
    return [row.message for row in rows if isinstance(row, Line)]


def cursor(window: Window) -> str:
    row = window.current()
    assert isinstance(row, Line)
    return row.message


def append(timeline: Timeline, first: int, count: int = 1) -> None:
    timeline.add_many(make_line(number, f"line {number}") for number in range(first, first + count))


def test_following_shows_the_newest() -> None:
    timeline, window = make()
    assert messages(window) == [f"line {number}" for number in range(90, 100)]
    append(timeline, 100, 3)
    assert window.flush()
    assert messages(window)[-1] == "line 102"
    assert window.place.following
    assert window.place.new == 0


def test_few_rows_stand_at_the_top() -> None:
    _, window = make(3)
    assert messages(window) == ["line 0", "line 1", "line 2"]


def test_going_up_leaves_the_newest_and_counts_what_comes() -> None:
    timeline, window = make()
    window.move("up")
    assert cursor(window) == "line 98"
    before = messages(window)
    append(timeline, 100, 128)
    assert not window.flush()
    assert messages(window) == before
    assert window.place.new == 128
    window.follow()
    assert messages(window)[-1] == "line 227"
    assert window.place.new == 0


def test_what_comes_above_never_moves_what_is_read() -> None:
    timeline, window = make()
    window.move("page_up")
    before = messages(window)
    late = [make_line(500 + n, f"late {n}", at_ms=EPOCH_MS + 50 + n) for n in range(300)]
    timeline.add_many(late)
    assert not window.flush()
    assert messages(window) == before


def test_a_late_line_on_the_screen_comes_where_it_belongs_below_the_top() -> None:
    timeline, window = make()
    window.move("page_up")
    before = messages(window)
    timeline.add_many([make_line(500, "late", at_ms=EPOCH_MS + 8_350)])
    assert window.flush()
    after = messages(window)
    assert after[0] == before[0]
    assert after[3] == "late"


def test_eviction_takes_the_screen_to_what_is_left() -> None:
    timeline = Timeline(capacity=1_100)
    window = Window(View(timeline))
    window.resize(HEIGHT)
    append(timeline, 0, 1_000)
    window.flush()
    window.move("top")
    append(timeline, 1_000, 3_000)
    window.flush()
    assert window.top == 0
    assert len(window.slots) == HEIGHT


def test_down_at_the_last_row_follows_again() -> None:
    _, window = make()
    window.move("up")
    window.move("down")
    assert not window.following
    assert cursor(window) == "line 99"
    window.move("down")
    assert window.following


@pytest.mark.parametrize(("motion", "back"), [("page_up", "page_down"), ("half_up", "half_down")])
def test_pages(motion: str, back: str) -> None:
    _, window = make()
    window.move(motion)  # type: ignore[arg-type] # one of the motions, as the table above says
    assert messages(window)[0] == ("line 81" if motion == "page_up" else "line 85")
    window.move(back)  # type: ignore[arg-type]
    assert window.following


def test_the_oldest_row() -> None:
    _, window = make()
    window.move("top")
    assert messages(window)[0] == cursor(window) == "line 0"
    window.move("page_up")
    assert messages(window)[0] == "line 0"
    window.move("up")
    assert cursor(window) == "line 0"


def test_the_wheel_moves_the_screen_and_takes_the_cursor_along() -> None:
    _, window = make()
    window.scroll(-3)
    assert messages(window)[0] == "line 87"
    assert cursor(window) == "line 96"
    window.scroll(3)
    assert window.following


def test_the_scroll_bar() -> None:
    _, window = make()
    window.scroll_to(0.0)
    assert messages(window)[0] == "line 0"
    window.scroll_to(0.5)
    assert messages(window)[0] == "line 45"
    window.scroll_to(1.0)
    assert window.following


def test_freezing_holds_the_picture() -> None:
    timeline, window = make()
    window.freeze()
    before = messages(window)
    append(timeline, 100, 5)
    timeline.add_many([make_line(500, "late", at_ms=EPOCH_MS + 9_250)])
    assert not window.flush()
    assert messages(window) == before
    assert window.place.new == 5
    window.freeze()
    assert window.following
    assert messages(window)[-1] == "line 104"


def test_moving_while_frozen_begins_where_the_picture_is() -> None:
    timeline, window = make()
    window.freeze()
    append(timeline, 100, 50)
    timeline.add_many(make_line(500 + n, f"late {n}", at_ms=EPOCH_MS + 50 + n) for n in range(40))
    window.move("up")
    assert cursor(window) == "line 98"
    assert messages(window)[0] == "line 90"
    window.move("half_down")
    assert messages(window)[0] == "line 95"
    assert window.frozen
    before = messages(window)
    append(timeline, 150, 50)
    assert not window.flush()
    assert messages(window) == before


def test_a_row_is_gone_to_and_seen() -> None:
    timeline, window = make()
    window.go_to(timeline.row(10).key)
    assert cursor(window) == "line 10"
    assert messages(window)[HEIGHT // 2] == "line 10"
    window.go_to(timeline.row(12).key)
    assert messages(window)[HEIGHT // 2] == "line 10"  # it was on the screen already


def test_a_smaller_screen_keeps_the_cursor() -> None:
    _, window = make()
    window.move("up")
    window.resize(4)
    assert cursor(window) in messages(window)


def test_pointing() -> None:
    _, window = make()
    window.point(2)
    assert cursor(window) == "line 92"
    window.point(50)
    assert cursor(window) == "line 92"


def test_nothing_to_show() -> None:
    window = Window(View(Timeline()))
    window.resize(HEIGHT)
    for motion in ("up", "down", "page_up", "page_down", "top"):
        window.move(motion)
    window.scroll(-3)
    window.freeze()
    assert window.current() is None
    assert window.slots == []


def test_filtering_keeps_the_place() -> None:
    timeline, window = make()
    window.go_to(timeline.row(40).key)
    top = messages(window)[0]
    window.view.select(lambda line: line.seq % 2 == 0)
    window.resize(HEIGHT)
    assert all(int(message.split()[1]) % 2 for message in messages(window))
    window.view.select(None)
    window.resize(HEIGHT)
    assert messages(window)[0] == top


def test_wrapped_rows_move_by_lines() -> None:
    _, window = make(wrapped=True)
    assert len(window.slots) == HEIGHT
    assert window.slots[-1].part == tall(window.slots[-1].row, None) - 1
    window.scroll(-1)
    window.scroll(-1)
    first = window.slots[0]
    window.scroll(-4)
    window.scroll(4)
    assert (window.slots[0].row, window.slots[0].part) == (first.row, first.part)


@given(st.integers(0, 2**32), st.booleans(), st.integers(1, 12))
def test_whatever_is_done_the_screen_is_a_piece_of_the_view(
    seed: int,
    wrapped: bool,  # noqa: FBT001 - an example, not a switch
    height: int,
) -> None:
    chance = random.Random(seed)
    timeline, window = make(chance.randrange(40), wrapped=wrapped)
    window.resize(height)
    doings = ["up", "down", "page_up", "page_down", "half_up", "half_down", "top"]
    number = 1_000
    for _ in range(40):
        roll = chance.random()
        was, frozen = [(slot.row.key, slot.part) for slot in window.slots], window.frozen
        if roll < 0.3:
            at = EPOCH_MS + chance.randrange(200_000)
            timeline.add_many([make_line(number, "new", at_ms=at)])
            number += 1
            anchored = not window.following and bool(was)
            window.flush()
            if anchored or frozen:
                assert [(s.row.key, s.part) for s in window.slots][:1] == was[:1]
        elif roll < 0.35:
            window.freeze()
        elif roll < 0.4:
            window.follow()
        elif roll < 0.5:
            window.scroll(chance.choice([-3, 3]))
        elif roll < 0.55 and len(timeline):
            window.go_to(timeline.row(chance.randrange(len(timeline))).key)
        elif roll < 0.6:
            window.scroll_to(chance.random())
        else:
            window.move(chance.choice(doings))  # type: ignore[arg-type]
        check(timeline, window, height, moved=roll >= 0.35)


def check(timeline: Timeline, window: Window, height: int, *, moved: bool) -> None:
    slots = window.slots
    assert len(slots) <= height
    if window.frozen or not slots:
        return
    first = timeline.index_of(slots[0].row.key)
    lines = [
        (row.key, part)
        for row in timeline.rows(first, len(timeline))
        for part in range(1 if window.lines_of is None else tall(row, None))
    ]
    begin = lines.index((slots[0].row.key, slots[0].part))
    shown = [(slot.row.key, slot.part) for slot in slots]
    assert shown == lines[begin : begin + height]
    if window.following:
        assert shown[-1] == lines[-1]
    elif moved:
        assert window.cursor in [slot.row.key for slot in slots]
