from __future__ import annotations

import pytest

from tests.support.fake_engine import EPOCH_MS, FakeEngine, make_line
from tests.support.screen import NARROW, WIDE, Screen, running
from tui.client.status import ConnectionOutage


def minutes(count: int = 60) -> FakeEngine:
    """A line each second, every tenth an error, with a gap from 12:00:20 to 12:00:29."""
    engine = FakeEngine()
    engine.add(
        make_line(number, f"{'ERROR' if number % 10 == 0 else 'INFO'} at {number}",
                  at_ms=EPOCH_MS + number * 1_000)
        for number in range(count) if not 20 <= number < 30
    )  # fmt: skip
    return engine


def chart(screen: Screen) -> str:
    return screen.app._histogram_panel.chart.text


def cursor(screen: Screen) -> str:
    return str(getattr(screen.app.log_view.current(), "message", ""))


@pytest.mark.parametrize("size", [NARROW, WIDE, (200, 60), (40, 12)])
async def test_it_opens_below_the_log_and_closes(size: tuple[int, int]) -> None:
    async with running(minutes(), size=size) as screen:
        await screen.press("h")
        assert "per column" in screen.text
        assert "warnings" in chart(screen)
        await screen.press("h")
        assert "per column" not in screen.text
        assert screen.app.log_view.has_focus
        await screen.press("h", "escape")
        assert "per column" not in screen.text


async def test_arrows_move_the_cursor_and_the_log() -> None:
    async with running(minutes()) as screen:
        await screen.press("h")
        await screen.press("home")
        assert cursor(screen) == "ERROR at 0"
        assert "1 line, 1 error" in screen.text
        assert "▲" in chart(screen)
        await screen.press("right")
        assert cursor(screen) == "INFO at 1"
        await screen.press("shift+right", "shift+right", "left")
        assert "0 lines" in screen.text
        assert cursor(screen) == "ERROR at 30"
        await screen.press("end")
        assert cursor(screen) == "INFO at 59"
        await screen.press("escape", "k")
        assert cursor(screen) == "INFO at 58"


async def test_a_click_jumps() -> None:
    async with running(minutes()) as screen:
        await screen.press("h")
        at = screen.app._histogram_panel.chart._plot.index_at(EPOCH_MS + 40_000)
        assert at is not None
        await screen.pilot.click("#histogram", offset=(2 + 9 + at, 2))
        await screen.settle()
        assert cursor(screen) == "ERROR at 40"
        await screen.pilot.click("#histogram", offset=(3, 2))
        await screen.settle()
        assert cursor(screen) == "ERROR at 40"


async def test_the_cursor_follows_the_log() -> None:
    async with running(minutes()) as screen:
        await screen.press("h")
        screen.app.log_view.focus()
        await screen.press("g", "j")
        assert "12:00:01  1 line" in screen.text


async def test_it_opens_at_the_cursor_of_the_log() -> None:
    async with running(minutes()) as screen:
        await screen.press("g", "j", "j", "h")
        assert "12:00:02  1 line" in screen.text
        await screen.press("left")
        assert cursor(screen) == "INFO at 1"


async def test_zoom() -> None:
    async with running(minutes(1_200)) as screen:
        await screen.press("h")
        assert "20 s per column" in screen.text
        await screen.press("plus", "equals_sign")
        assert "5 s per column" in screen.text
        await screen.press("home")
        assert cursor(screen) == "ERROR at 0"
        await screen.press("minus", "minus", "minus")
        assert "20 s per column" in screen.text


async def test_new_lines_are_counted() -> None:
    async with running(minutes()) as screen:
        await screen.press("h")
        await screen.press("home")
        screen.engine.add(
            make_line(9_000 + n, "ERROR late", at_ms=EPOCH_MS + n, origin="backfill")
            for n in range(1, 1_000)
        )
        await screen.settle()
        assert "1,000 lines, 1,000 errors, 999 backfilled" in screen.text
        assert "↑" in chart(screen)


async def test_only_what_passes_the_filters_is_counted() -> None:
    async with running(minutes()) as screen:
        await screen.press("h")
        screen.app.log_view.focus()
        await screen.press("5")
        await screen.press("g")
        assert "filtered" in screen.text
        counts = screen.app._histogram_panel._volume.buckets.values()
        assert sum(one.lines for one in counts) == 5
        await screen.press("1")
        assert "filtered" not in screen.text


async def test_gaps_are_shaded() -> None:
    engine = minutes()
    cut = ConnectionOutage(EPOCH_MS + 20_000, EPOCH_MS + 29_900, 1006, "cut", None, None)
    engine.set(outages=(cut,))
    async with running(engine) as screen:
        await screen.press("h")
        assert chart(screen).count("✕") == 10
        assert "░" in chart(screen)


async def test_without_lines() -> None:
    async with running() as screen:
        await screen.press("h")
        await screen.press("left", "plus", "home", "minus")
        assert "no lines yet" in screen.text


async def test_a_million_lines_are_counted_in_pieces() -> None:
    engine = FakeEngine()
    engine.add(make_line(number, "x") for number in range(10_000))
    async with running(engine) as screen:
        await screen.press("h")
        counts = screen.app._histogram_panel._volume.buckets.values()
        assert sum(one.lines for one in counts) == 10_000
        assert "counting" not in screen.text
