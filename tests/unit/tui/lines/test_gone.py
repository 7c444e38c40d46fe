from __future__ import annotations

from unittest.mock import patch

from tests.support.told import line
from tui.lines.gone import Gone, Piece
from tui.lines.rows import Rule


def piece(low: int, high: int, count: int = 3) -> Piece:
    return Piece(low, high, count, low)


def test_a_key_belongs_to_a_piece_or_to_none() -> None:
    gone = Gone()
    gone.put(piece(0, 9))
    gone.put(piece(20, 29))
    found = gone.at(25)
    assert found is not None
    assert (found.low, gone.at(15), gone.at(30)) == (20, None, None)
    assert [gone.floor(key) for key in (5, 15, 29, 30)] == [0, 10, 10, 30]
    assert gone.lines == 6


def test_pieces_that_touch_are_one_run_and_one_piece_while_small() -> None:
    with patch("tui.lines.gone.PIECE_LINES", 8):
        gone = Gone()
        for low in (0, 10, 20):
            gone.put(piece(low, low + 9))
    assert [(one.low, one.high, one.count) for one in gone.pieces] == [(0, 19, 6), (20, 29, 3)]
    assert [(run.low, run.high, run.lines) for run in gone.runs()] == [(0, 29, 9)]


def test_a_run_says_what_is_done_about_any_piece_of_it() -> None:
    with patch("tui.lines.gone.PIECE_LINES", 1):
        gone = Gone()
        gone.put(piece(0, 9))
        gone.put(piece(10, 19))
    gone.pieces[1].state = "fetching"
    assert [run.state for run in gone.runs()] == ["fetching"]


def test_new_lines_are_counted_where_they_belong_and_rules_wait_there() -> None:
    gone = Gone()
    gone.put(piece(0, 9))
    rule = Rule(key=5, kind="gap", target=0, from_ms=0, through_ms=0)
    late = line(4, late_ms=7)
    assert gone.swallow([line(3), late, rule, line(12)]) == [line(12)]
    gone.swallow([rule])
    assert (gone.lines, gone.pieces[0].rules, gone.pieces[0].late) == (5, [rule], {4: 7})


def test_a_past_that_comes_newest_first_makes_pieces_that_fit_a_page() -> None:
    with patch("tui.lines.gone.PIECE_LINES", 10):
        gone = Gone()
        gone.put(Piece(0, 1_000, 4, 900))
        for high in range(900, 0, -5):
            gone.swallow([line(key) for key in range(high - 5, high)])
    assert gone.lines == 904
    assert max(one.count for one in gone.pieces) == 10
    assert [one.low for one in gone.pieces] == [
        0,
        *[one.high + 1 for one in gone.pieces[:-1]],
    ]
    assert gone.pieces[-1].high == 1_000


def test_a_piece_can_be_cut_where_a_page_ended() -> None:
    gone = Gone()
    gone.put(Piece(0, 99, 10, 5, {7: 1, 70: 2}))
    lower = gone.cut(gone.pieces[0], 50, 4)
    assert [(one.low, one.high, one.count) for one in gone.pieces] == [(0, 50, 4), (51, 99, 6)]
    assert (gone.pieces[0] is lower, lower.late, gone.pieces[1].late) == (True, {7: 1}, {70: 2})
    gone.take(lower)
    assert (gone.lines, len(gone.pieces)) == (6, 1)
