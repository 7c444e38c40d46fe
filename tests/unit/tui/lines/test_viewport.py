from __future__ import annotations

import random

import pytest
from hypothesis import example, given
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
    viewport = Viewport(View(timeline), tall if wrapped else None)
    viewport.resize(HEIGHT)
    return timeline, viewport


def messages(viewport: Viewport) -> list[str]:
    rows = [screen_line.row for screen_line in viewport.screen_lines]
    return [row.message for row in rows if isinstance(row, Line)]


def cursor(viewport: Viewport) -> str:
    row = viewport.current()
    assert isinstance(row, Line)
    return row.message


def append(timeline: Timeline, first: int, count: int = 1) -> None:
    timeline.add_many(make_line(number, f"line {number}") for number in range(first, first + count))


def test_following_shows_the_newest() -> None:
    timeline, viewport = make()
    assert messages(viewport) == [f"line {number}" for number in range(90, 100)]
    append(timeline, 100, 3)
    assert viewport.flush()
    assert messages(viewport)[-1] == "line 102"
    assert viewport.place.following
    assert viewport.place.new == 0


def test_few_rows_stand_at_the_top() -> None:
    _, viewport = make(3)
    assert messages(viewport) == ["line 0", "line 1", "line 2"]


def test_moving_up_stops_following_and_counts_new_rows() -> None:
    timeline, viewport = make()
    viewport.move("up")
    assert cursor(viewport) == "line 98"
    before = messages(viewport)
    append(timeline, 100, 128)
    assert not viewport.flush()
    assert messages(viewport) == before
    assert viewport.place.new == 128
    viewport.follow()
    assert messages(viewport)[-1] == "line 227"
    assert viewport.place.new == 0


def test_rows_that_arrive_above_never_move_the_screen() -> None:
    timeline, viewport = make()
    viewport.move("page_up")
    before = messages(viewport)
    late = [make_line(500 + n, f"late {n}", at_ms=EPOCH_MS + 50 + n) for n in range(300)]
    timeline.add_many(late)
    assert not viewport.flush()
    assert messages(viewport) == before


def test_a_late_line_is_inserted_below_the_top_row() -> None:
    timeline, viewport = make()
    viewport.move("page_up")
    before = messages(viewport)
    timeline.add_many([make_line(500, "late", at_ms=EPOCH_MS + 8_350)])
    assert viewport.flush()
    after = messages(viewport)
    assert after[0] == before[0]
    assert after[3] == "late"


def test_eviction_moves_the_screen_to_the_remaining_rows() -> None:
    timeline = Timeline(capacity=1_100)
    viewport = Viewport(View(timeline))
    viewport.resize(HEIGHT)
    append(timeline, 0, 1_000)
    viewport.flush()
    viewport.move("top")
    append(timeline, 1_000, 3_000)
    viewport.flush()
    assert viewport.top == 0
    assert len(viewport.screen_lines) == HEIGHT


def test_down_at_the_last_row_follows_again() -> None:
    _, viewport = make()
    viewport.move("up")
    viewport.move("down")
    assert not viewport.following
    assert cursor(viewport) == "line 99"
    viewport.move("down")
    assert viewport.following


@pytest.mark.parametrize(("motion", "back"), [("page_up", "page_down"), ("half_up", "half_down")])
def test_pages(motion: str, back: str) -> None:
    _, viewport = make()
    viewport.move(motion)  # type: ignore[arg-type] # one of the motions, as the table above says
    assert messages(viewport)[0] == ("line 81" if motion == "page_up" else "line 85")
    viewport.move(back)  # type: ignore[arg-type]
    assert viewport.following


def test_the_oldest_row() -> None:
    _, viewport = make()
    viewport.move("top")
    assert messages(viewport)[0] == cursor(viewport) == "line 0"
    viewport.move("page_up")
    assert messages(viewport)[0] == "line 0"
    viewport.move("up")
    assert cursor(viewport) == "line 0"


def test_the_wheel_scrolls_and_keeps_the_cursor_on_the_screen() -> None:
    _, viewport = make()
    viewport.scroll(-3)
    assert messages(viewport)[0] == "line 87"
    assert cursor(viewport) == "line 96"
    viewport.scroll(3)
    assert viewport.following


def test_the_scroll_bar() -> None:
    _, viewport = make()
    viewport.scroll_to(0.0)
    assert messages(viewport)[0] == "line 0"
    viewport.scroll_to(0.5)
    assert messages(viewport)[0] == "line 45"
    viewport.scroll_to(1.0)
    assert viewport.following


def test_freezing_keeps_the_screen() -> None:
    timeline, viewport = make()
    viewport.toggle_freeze()
    before = messages(viewport)
    append(timeline, 100, 5)
    timeline.add_many([make_line(500, "late", at_ms=EPOCH_MS + 9_250)])
    assert not viewport.flush()
    assert messages(viewport) == before
    assert viewport.place.new == 5
    viewport.toggle_freeze()
    assert viewport.following
    assert messages(viewport)[-1] == "line 104"


def test_moving_while_frozen_starts_from_the_frozen_screen() -> None:
    timeline, viewport = make()
    viewport.toggle_freeze()
    append(timeline, 100, 50)
    timeline.add_many(make_line(500 + n, f"late {n}", at_ms=EPOCH_MS + 50 + n) for n in range(40))
    viewport.move("up")
    assert cursor(viewport) == "line 98"
    assert messages(viewport)[0] == "line 90"
    viewport.move("half_down")
    assert messages(viewport)[0] == "line 95"
    assert viewport.frozen
    before = messages(viewport)
    append(timeline, 150, 50)
    assert not viewport.flush()
    assert messages(viewport) == before


def test_going_to_a_row_shows_it() -> None:
    timeline, viewport = make()
    viewport.go_to(timeline.row(10).key)
    assert cursor(viewport) == "line 10"
    assert messages(viewport)[HEIGHT // 2] == "line 10"
    viewport.go_to(timeline.row(12).key)
    assert messages(viewport)[HEIGHT // 2] == "line 10"  # it was on the screen already


def test_a_smaller_screen_keeps_the_cursor() -> None:
    _, viewport = make()
    viewport.move("up")
    viewport.resize(4)
    assert cursor(viewport) in messages(viewport)


def test_pointing() -> None:
    _, viewport = make()
    viewport.point(2)
    assert cursor(viewport) == "line 92"
    viewport.point(50)
    assert cursor(viewport) == "line 92"


def test_nothing_to_show() -> None:
    viewport = Viewport(View(Timeline()))
    viewport.resize(HEIGHT)
    for motion in ("up", "down", "page_up", "page_down", "top"):
        viewport.move(motion)
    viewport.scroll(-3)
    viewport.toggle_freeze()
    assert viewport.current() is None
    assert viewport.screen_lines == []


def test_filtering_keeps_the_position() -> None:
    timeline, viewport = make()
    viewport.go_to(timeline.row(40).key)
    top = messages(viewport)[0]
    viewport.view.show_passing(lambda line: line.seq % 2 == 0)
    viewport.resize(HEIGHT)
    assert all(int(message.split()[1]) % 2 for message in messages(viewport))
    viewport.view.show_passing(None)
    viewport.resize(HEIGHT)
    assert messages(viewport)[0] == top


def test_wrapped_rows_move_by_lines() -> None:
    _, viewport = make(wrapped=True)
    assert len(viewport.screen_lines) == HEIGHT
    assert viewport.screen_lines[-1].part == tall(viewport.screen_lines[-1].row, None) - 1
    viewport.scroll(-1)
    viewport.scroll(-1)
    first = viewport.screen_lines[0]
    viewport.scroll(-4)
    viewport.scroll(4)
    assert (viewport.screen_lines[0].row, viewport.screen_lines[0].part) == (first.row, first.part)


def test_a_screen_that_was_not_full_stays_once_it_is() -> None:
    timeline, viewport = make(0)
    viewport.resize(2)
    append(timeline, 10, 1)
    viewport.flush()
    viewport.go_to(timeline.row(0).key)
    append(timeline, 5, 1)
    viewport.flush()
    assert messages(viewport) == ["line 5", "line 10"]
    append(timeline, 20, 1)
    viewport.flush()
    assert messages(viewport) == ["line 5", "line 10"]


@example(seed=2500, wrapped=False, height=2)
@given(st.integers(0, 2**32), st.booleans(), st.integers(1, 12))
def test_the_screen_is_always_a_slice_of_the_view(
    seed: int,
    wrapped: bool,  # noqa: FBT001 - an example, not a switch
    height: int,
) -> None:
    chance = random.Random(seed)
    timeline, viewport = make(chance.randrange(40), wrapped=wrapped)
    viewport.resize(height)
    doings = ["up", "down", "page_up", "page_down", "half_up", "half_down", "top"]
    number = 1_000
    for _ in range(40):
        roll = chance.random()
        was, frozen = (
            [(screen_line.row.key, screen_line.part) for screen_line in viewport.screen_lines],
            viewport.frozen,
        )
        if roll < 0.3:
            at = EPOCH_MS + chance.randrange(200_000)
            timeline.add_many([make_line(number, "new", at_ms=at)])
            number += 1
            anchored = not viewport.following and len(was) == height
            viewport.flush()
            if anchored or frozen:
                assert [(s.row.key, s.part) for s in viewport.screen_lines][:1] == was[:1]
        elif roll < 0.35:
            viewport.toggle_freeze()
        elif roll < 0.4:
            viewport.follow()
        elif roll < 0.5:
            viewport.scroll(chance.choice([-3, 3]))
        elif roll < 0.55 and len(timeline):
            viewport.go_to(timeline.row(chance.randrange(len(timeline))).key)
        elif roll < 0.6:
            viewport.scroll_to(chance.random())
        else:
            viewport.move(chance.choice(doings))  # type: ignore[arg-type]
        check(timeline, viewport, height, moved=roll >= 0.35)


def check(timeline: Timeline, viewport: Viewport, height: int, *, moved: bool) -> None:
    screen_lines = viewport.screen_lines
    assert len(screen_lines) <= height
    if viewport.frozen or not screen_lines:
        return
    first = timeline.index_of(screen_lines[0].row.key)
    lines = [
        (row.key, part)
        for row in timeline.rows(first, len(timeline))
        for part in range(1 if viewport._row_height is None else tall(row, None))
    ]
    begin = lines.index((screen_lines[0].row.key, screen_lines[0].part))
    shown = [(screen_line.row.key, screen_line.part) for screen_line in screen_lines]
    assert shown == lines[begin : begin + height]
    if viewport.following:
        assert shown[-1] == lines[-1]
    elif moved:
        assert viewport.cursor in [screen_line.row.key for screen_line in screen_lines]


def viewport(count: int = 50, height: int = 10) -> Viewport:
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


def test_nothing_is_selected_at_first() -> None:
    selection = Selection(viewport())
    assert selection.span is None
    assert len(selection) == 0
    assert not selection.has(5)
    assert not selection.clear()


def test_the_selection_reaches_to_the_cursor() -> None:
    at = viewport()
    selection = Selection(at)
    selection.begin()
    assert selected(selection) == ["49"]
    at.move("up")
    at.move("up")
    assert selected(selection) == ["47", "48", "49"]
    selection.clear()
    selection.begin()
    at.move("down")
    assert selected(selection) == ["47", "48"]


def test_late_rows_between_the_ends_are_selected() -> None:
    at = viewport()
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
    at = viewport()
    at.move("up")
    selection = Selection(at)
    selection.begin()
    for _ in range(3):
        at.move("down")
        selection.stop_following()
    assert selected(selection) == ["48", "49"]
    assert not at.following


def test_scrolling_does_not_extend_the_selection() -> None:
    at = viewport()
    selection = Selection(at)
    selection.begin()
    at.move("up")
    at.scroll(-30)
    assert selected(selection) == ["48", "49"]
    selection.clear()
    at.scroll(-3)
    assert at.cursor != at.view.timeline.row(48).key


def test_a_click_moves_the_cursor() -> None:
    at = viewport()
    selection = Selection(at)
    mouse = MouseDrag(at, selection)
    mouse.press(3, 3, extends=False)
    assert at.cursor == at.view.timeline.row(43).key
    assert mouse.release()
    assert not mouse.release()
    assert selection.span is None
    assert not mouse.drag(5)


def test_dragging_selects() -> None:
    at = viewport()
    selection = Selection(at)
    mouse = MouseDrag(at, selection)
    mouse.press(3, 3, extends=False)
    assert mouse.drag(3)
    assert selection.span is None
    mouse.drag(5)
    mouse.drag(1)
    assert selected(selection) == ["41", "42", "43"]
    mouse.release()
    mouse.press(8, 8, extends=True)
    assert selected(selection) == ["41", "42", "43", "44", "45", "46", "47", "48"]
    mouse.release()
    mouse.press(8, 8, extends=False)
    assert selection.span is None


def test_dragging_beyond_an_edge_scrolls() -> None:
    at = viewport()
    selection = Selection(at)
    mouse = MouseDrag(at, selection)
    mouse.press(2, 2, extends=False)
    mouse.drag(-5)
    assert selected(selection)[0] == "35"
    assert selected(selection)[-1] == "42"
    for _ in range(5):
        mouse.drag(12)
    assert selected(selection) == [str(number) for number in range(42, 50)]


def test_the_scroll_bar_with_a_selection() -> None:
    at = viewport()
    selection = Selection(at)
    mouse = MouseDrag(at, selection)
    mouse.press(None, 0, extends=False)
    assert at.top == 0
    assert mouse.drag(9)
    assert at.following
    assert selection.span is None
    assert mouse.release()
