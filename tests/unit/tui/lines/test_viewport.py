"""tests.unit.tui.lines.test_viewport."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_engine import EPOCH_MS, make_line
from tui.lines.rows import Line, Row
from tui.lines.timeline import Timeline
from tui.lines.view import View
from tui.lines.viewport import MouseDrag, Selection, Viewport

HEIGHT = 10


def tall(row: Row, _previous: Row | None) -> int:
    """One to three lines, by the row's number."""
    assert isinstance(row, Line)
    return row.seq % 3 + 1


def make(count: int = 100, *, wrapped: bool = False) -> tuple[Timeline, Viewport]:
    timeline = Timeline()
    timeline.add_many(make_line(number, f"line {number}") for number in range(count))
    window = Viewport(View(timeline), tall if wrapped else None)
    window.resize(HEIGHT)
    return timeline, window


def messages(window: Viewport) -> list[str]:
    rows = [slot.row for slot in window.slots]
    return [row.message for row in rows if isinstance(row, Line)]


def cursor(window: Viewport) -> str:
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
    window = Viewport(View(timeline))
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
    window = Viewport(View(Timeline()))
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
    window.view.show_passing(lambda line: line.seq % 2 == 0)
    window.resize(HEIGHT)
    assert all(int(message.split()[1]) % 2 for message in messages(window))
    window.view.show_passing(None)
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


def check(timeline: Timeline, window: Viewport, height: int, *, moved: bool) -> None:
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


def window(count: int = 50, height: int = 10) -> Viewport:
    timeline = Timeline()
    timeline.add_many(make_line(number, str(number)) for number in range(count))
    found = Viewport(View(timeline))
    found.resize(height)
    return found


def selected(selection: Selection) -> list[str]:
    rows = selection.view.rows(*selection.indexes())
    assert len(rows) == len(selection)
    assert all(selection.has(row.key) for row in rows)
    return [row.message for row in rows if isinstance(row, Line)]


def test_nothing_at_first() -> None:
    selection = Selection(window())
    assert selection.span is None
    assert len(selection) == 0
    assert not selection.has(5)
    assert not selection.end()


def test_from_here_to_the_cursor_and_back() -> None:
    at = window()
    selection = Selection(at)
    selection.begin()
    assert selected(selection) == ["49"]
    at.move("up")
    at.move("up")
    assert selected(selection) == ["47", "48", "49"]
    selection.end()
    selection.begin()
    at.move("down")
    assert selected(selection) == ["47", "48"]


def test_what_comes_between_is_selected_and_nothing_slips() -> None:
    at = window()
    selection = Selection(at)
    selection.begin()
    at.move("up")
    change = at.view.timeline.add_many(
        [make_line(90, "late", at_ms=EPOCH_MS + 4_850), make_line(91, "early", at_ms=EPOCH_MS + 50)]
    )
    at.view.apply(change)
    at.flush()
    assert selected(selection) == ["48", "late", "49"]


def test_the_end_is_reached_without_following() -> None:
    at = window()
    at.move("up")
    selection = Selection(at)
    selection.begin()
    for _ in range(3):
        at.move("down")
        selection.stay()
    assert selected(selection) == ["48", "49"]
    assert not at.following


def test_scrolling_away_selects_no_more() -> None:
    at = window()
    selection = Selection(at)
    selection.begin()
    at.move("up")
    at.scroll(-30)
    assert selected(selection) == ["48", "49"]
    selection.end()
    at.scroll(-3)
    assert at.cursor != at.view.timeline.row(48).key


def test_a_row_is_pointed_at() -> None:
    at = window()
    selection = Selection(at)
    hand = MouseDrag(at, selection)
    hand.press(3, 3, extends=False)
    assert at.cursor == at.view.timeline.row(43).key
    assert hand.let_go()
    assert not hand.let_go()
    assert selection.span is None
    assert not hand.drag(5)


def test_dragging_selects() -> None:
    at = window()
    selection = Selection(at)
    hand = MouseDrag(at, selection)
    hand.press(3, 3, extends=False)
    assert hand.drag(3)
    assert selection.span is None
    hand.drag(5)
    hand.drag(1)
    assert selected(selection) == ["41", "42", "43"]
    hand.let_go()
    hand.press(8, 8, extends=True)
    assert selected(selection) == ["41", "42", "43", "44", "45", "46", "47", "48"]
    hand.let_go()
    hand.press(8, 8, extends=False)
    assert selection.span is None


def test_dragging_beyond_an_edge_moves_the_list() -> None:
    at = window()
    selection = Selection(at)
    hand = MouseDrag(at, selection)
    hand.press(2, 2, extends=False)
    hand.drag(-5)
    assert selected(selection)[0] == "35"
    assert selected(selection)[-1] == "42"
    for _ in range(5):
        hand.drag(12)
    assert selected(selection) == [str(number) for number in range(42, 50)]


def test_the_scroll_bar_with_a_selection() -> None:
    at = window()
    selection = Selection(at)
    hand = MouseDrag(at, selection)
    hand.press(None, 0, extends=False)
    assert at.top == 0
    assert hand.drag(9)
    assert at.following
    assert selection.span is None
    assert hand.let_go()
