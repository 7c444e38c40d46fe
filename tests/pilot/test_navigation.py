from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fake_engine import EPOCH_MS, FakeEngine, make_line
from tests.support.screen import WIDE, Screen, running
from tui.client import saved
from tui.screen import navigation


def numbered(count: int = 300) -> FakeEngine:
    """A line each second."""
    engine = FakeEngine()
    engine.add(make_line(n, f"line {n}", at_ms=EPOCH_MS + n * 1_000) for n in range(count))
    return engine


def cursor(screen: Screen) -> str:
    return str(getattr(screen.app.log_view.current(), "message", ""))


def gutter(screen: Screen, text: str) -> str:
    return screen.line_with(text)[0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("12:02", "line 120"),
        ("12:02:30.5", "line 151"),
        ("2026-11-23T12:00:07Z", "line 7"),
        ("2026-11-23T13:00:07+01:00", "line 7"),
    ],
)
async def test_to_a_time(text: str, found: str) -> None:
    async with running(numbered()) as screen:
        await screen.press("colon")
        assert "go to" in screen.lines[-1]
        assert "-5m" in screen.lines[-1]
        await screen.type(text)
        assert cursor(screen) == found
        assert found in screen.text


async def test_a_time_relative_to_the_cursor() -> None:
    async with running(numbered(), now_ms=EPOCH_MS + 300_000) as screen:
        await screen.press("colon")
        await screen.type("-1m")  # relative to now while following
        assert cursor(screen) == "line 240"
        await screen.press("colon")
        await screen.type("-1m")
        assert cursor(screen) == "line 180"
        await screen.press("colon")
        await screen.type("+10s")
        assert cursor(screen) == "line 190"


async def test_the_prompt_rejects_an_invalid_time() -> None:
    async with running(numbered()) as screen:
        await screen.press("colon")
        await screen.type("12:0x")
        assert "'12:0x' is not a time: use 12:04, -5m or 2026-11-23T12:00Z" in screen.lines[-1]
        assert screen.app.log_view.place.following
        await screen.press("backspace")
        assert "is not a time" not in screen.lines[-1]
        await screen.type("1")
        assert cursor(screen) == "line 60"


async def test_a_time_beyond_the_lines() -> None:
    async with running(numbered()) as screen:
        await screen.press("colon")
        await screen.type("11:00")
        assert cursor(screen) == "line 0"
        assert "the oldest line here is from 2026-11-23 12:00:00" in screen.lines[-2]
        await screen.press("colon")
        await screen.type("13:00")
        assert cursor(screen) == "line 299"
        assert "the newest line here is from 2026-11-23 12:04:59" in screen.lines[-2]


async def test_a_time_among_filtered_lines() -> None:
    async with running(numbered()) as screen:
        await screen.press("f")
        await screen.type("/0$/")
        await screen.press("colon")
        await screen.type("12:01:55")
        assert cursor(screen) == "line 120"


async def test_to_a_time_in_an_empty_list() -> None:
    async with running() as screen:
        await screen.press("colon")
        await screen.type("12:00")
        assert "there are no lines yet" in screen.lines[-2]
        await screen.press("colon", "escape")
        assert "go to" not in screen.lines[-1]


async def test_bookmarks_stay_on_their_lines() -> None:
    async with running(numbered()) as screen:
        await screen.press("k", "k", "m", "k", "k", "m")
        assert gutter(screen, "line 297") == "◆"
        assert gutter(screen, "line 295") == "◆"
        assert gutter(screen, "line 296") == " "
        screen.engine.add(
            make_line(900 + n, f"late {n}", at_ms=EPOCH_MS + n, origin="backfill")
            for n in range(1, 500)
        )
        await screen.settle()
        assert gutter(screen, "line 297") == "◆"
        await screen.press("apostrophe")
        assert cursor(screen) == "line 297"
        assert "bookmark 2 of 2" in screen.lines[-2]
        await screen.press("apostrophe")
        assert cursor(screen) == "line 295"
        await screen.press("m")
        assert gutter(screen, "line 295") == " "
        await screen.press("apostrophe", "m", "apostrophe")
        assert "there are no bookmarks" in screen.lines[-2]


async def test_a_bookmark_does_not_hide_the_origin_of_its_line() -> None:
    engine = FakeEngine()
    engine.add([make_line(1, "past one", origin="backfill")])
    async with running(engine) as screen:
        await screen.press("m")
        assert gutter(screen, "past one") == "↑"
        style = screen.app._palette.style("badge.accent")
        assert any(cell.text == "↑" and cell.style == style for cell in next(
            iter(screen.app.log_view._drawn())))  # fmt: skip


async def test_bookmarks_hidden_by_a_filter() -> None:
    async with running(numbered()) as screen:
        await screen.press("k", "m", "f")
        await screen.type("line 1")
        await screen.press("apostrophe")
        assert "1 bookmark: hidden by filters" in screen.lines[-2]


async def test_evicted_places_are_refetched() -> None:
    engine = FakeEngine(capacity=2_000)
    engine.add(make_line(n, f"line {n}") for n in range(2_000))
    async with running(engine) as screen:
        await screen.press("g", "m", "F")
        marked = engine.timeline.row(0).key
        engine.add(make_line(n, f"line {n}") for n in range(2_000, 6_000))
        await screen.settle()
        assert engine.timeline.evicted_at(marked) is not None
        await screen.press("apostrophe")
        assert [key for key, _ in engine.refetches] == [marked]
        await screen.press("F", "colon")
        await screen.type("12:00:05")
        assert len(engine.refetches) == 2
        assert "the oldest line" not in screen.lines[-2]


async def test_bookmarks_in_the_palette() -> None:
    engine = FakeEngine()
    engine.add([make_line(1, "[red]odd[/] one"), *(make_line(n, f"x {n}") for n in range(2, 90))])
    async with running(engine) as screen:
        await screen.press("g", "m", "F", "ctrl+p", *"bookmark2026")
        assert "Bookmark 2026-11-23 12:00:00 (red)odd(/) one" in screen.text
        await screen.press("enter")
        await screen.settle()
        assert cursor(screen) == "[red]odd[/] one"


async def test_nothing_to_mark() -> None:
    async with running() as screen:
        await screen.press("m")
        assert "there is no line here to bookmark" in screen.lines[-2]


async def test_bookmarks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(navigation, "BOOKMARKS_MAX", 1)
    async with running(numbered()) as screen:
        await screen.press("k", "m", "k", "m")
        assert "at most 1 bookmarks" in screen.lines[-2]
        assert gutter(screen, "line 297") == " "


async def test_bookmarks_of_an_earlier_run(tmp_path: Path) -> None:
    keep = tmp_path / "kept.view.json"
    async with running(numbered(), bookmarks_path=keep) as screen:
        await screen.press("k", "m")
    async with running(numbered(), bookmarks_path=keep) as screen:
        assert gutter(screen, "line 298") == "◆"
        await screen.press("apostrophe", "m")
    assert saved.load_bookmarks(keep) == []


async def test_bookmarks_that_cannot_be_saved(tmp_path: Path) -> None:
    async with running(numbered(), size=WIDE, bookmarks_path=tmp_path / "missing" / "x") as screen:
        await screen.press("m")
        assert "cannot save the bookmarks" in screen.lines[-2]
        assert len(screen.app._navigation.bookmarks) == 1
