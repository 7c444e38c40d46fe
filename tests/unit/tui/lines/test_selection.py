from __future__ import annotations

from tests.support.fake_engine import EPOCH_MS, make_line
from tui.lines.rows import Line
from tui.lines.selection import Hand, Selection
from tui.lines.timeline import Timeline
from tui.lines.view import View
from tui.lines.viewport import Window


def window(count: int = 50, height: int = 10) -> Window:
    timeline = Timeline()
    timeline.add_many(make_line(number, str(number)) for number in range(count))
    found = Window(View(timeline))
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
    hand = Hand(at, selection)
    hand.press(3, 3, extends=False)
    assert at.cursor == at.view.timeline.row(43).key
    assert hand.let_go()
    assert not hand.let_go()
    assert selection.span is None
    assert not hand.drag(5)


def test_dragging_selects() -> None:
    at = window()
    selection = Selection(at)
    hand = Hand(at, selection)
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
    hand = Hand(at, selection)
    hand.press(2, 2, extends=False)
    hand.drag(-5)
    assert selected(selection)[0] == "35"
    assert selected(selection)[-1] == "42"
    for _ in range(5):
        hand.drag(12)
    assert selected(selection) == [str(number) for number in range(42, 50)]


def test_the_scroll_bar() -> None:
    at = window()
    selection = Selection(at)
    hand = Hand(at, selection)
    hand.press(None, 0, extends=False)
    assert at.top == 0
    assert hand.drag(9)
    assert at.following
    assert selection.span is None
    assert hand.let_go()
