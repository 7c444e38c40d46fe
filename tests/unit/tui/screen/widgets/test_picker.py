from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.screen.ports import Choice
from tui.screen.widgets import picker
from tui.screen.widgets.picker import rank_choices


def named(*names: str) -> list[Choice]:
    return [Choice(name, None, name, newest_ms=1_000 - at) for at, name in enumerate(names)]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("", ["/aws/lambda/resize", "/ecs/render", "/ecs/web-render", "/aws/ecs"]),
        ("render", ["/ecs/render", "/ecs/web-render"]),
        ("REND", ["/ecs/render", "/ecs/web-render"]),
        ("web ecs", ["/ecs/web-render"]),
        ("ecs", ["/ecs/render", "/ecs/web-render", "/aws/ecs"]),
        ("ecsr", ["/ecs/render", "/ecs/web-render"]),
        ("lres", ["/aws/lambda/resize"]),
        ("esize", ["/aws/lambda/resize"]),
        ("nothing", []),
    ],
)
def test_matches_and_their_order(typed: str, found: list[str]) -> None:
    known = named("/aws/lambda/resize", "/ecs/render", "/ecs/web-render", "/aws/ecs")
    assert [one.name for one in rank_choices(known, typed)] == found


def test_a_match_at_the_start_of_a_word_ranks_first() -> None:
    assert [one.name for one in rank_choices(named("/xres/a", "/a/res", "/r-e-s"), "res")] == [
        *("/a/res", "/xres/a", "/r-e-s")
    ]


def test_the_list_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picker, "CHOICES_MAX", 3)
    assert len(rank_choices(named(*"abcdef"), "")) == 3


@given(st.lists(st.text(max_size=8), max_size=6), st.text(max_size=4))
def test_letters_match_in_their_order(names: list[str], typed: str) -> None:
    found = {one.name for one in rank_choices(named(*names), typed)}
    for name in names:
        fits = True
        for word in typed.casefold().split():
            rest = iter(name.casefold())
            fits = fits and all(char in rest for char in word)
        assert (name in found) == fits


@given(
    st.lists(st.text("abc-/", max_size=12), max_size=8), st.text("abc-/", min_size=1, max_size=5)
)
def test_pieces_of_a_name_rank_before_scattered_letters(names: list[str], word: str) -> None:
    found = [word in one.name for one in rank_choices(named(*names), word)]
    assert found == sorted(found, reverse=True)


def test_repeated_letters_take_no_time() -> None:
    name = "/" + "set-tests-" * 50
    assert rank_choices(named(name), "settsetstsetset")
