from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.screen.navigation import BOOKMARKS_MAX, Bookmarks


def test_bookmarks_are_set_and_removed() -> None:
    marks = Bookmarks()
    assert marks.toggle(5)
    assert 5 in marks
    assert not marks.toggle(5)
    assert 5 not in marks
    assert marks.keys == ()


def test_the_next_bookmark_wraps_around() -> None:
    marks = Bookmarks([30, 10, 20])
    assert marks.after(-1) == [10, 20, 30]
    assert marks.after(10) == [20, 30, 10]
    assert marks.after(25) == [30, 10, 20]
    assert marks.after(30) == [10, 20, 30]
    assert Bookmarks().after(3) == []


def test_bookmarks_are_bounded() -> None:
    marks = Bookmarks(range(BOOKMARKS_MAX + 10))
    assert len(marks) == BOOKMARKS_MAX
    assert marks.is_full
    assert 0 not in marks
    assert not marks.toggle(BOOKMARKS_MAX)


@given(st.lists(st.integers(0, 20)))
def test_bookmarks_behave_as_a_set(keys: list[int]) -> None:
    marks, model = Bookmarks(), set[int]()
    for key in keys:
        assert marks.toggle(key) == (key not in model)
        model ^= {key}
        assert marks.keys == tuple(sorted(model))
        assert len(marks) == len(model)
