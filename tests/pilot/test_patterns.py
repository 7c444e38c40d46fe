from __future__ import annotations

import asyncio

import pytest

from tests.support.fake_engine import EPOCH_MS, FakeEngine, make_line
from tests.support.screen import NARROW, WIDE, Screen, running
from tui.lines.rows import Line


def engine(count: int = 60) -> FakeEngine:
    """Two lines of ``job … done`` for each of ``disk … full`` and one of each user who leaves."""
    found = FakeEngine()
    found.add(lines(0, count))
    return found


def lines(first: int, count: int) -> list[Line]:
    texts = ("INFO job {} done", "INFO job {} done", "ERROR disk {} is full")
    return [make_line(at, texts[at % 3].format(at), at_ms=EPOCH_MS + at * 1_000)
            for at in range(first, first + count)]  # fmt: skip


def rows(screen: Screen) -> list[str]:
    return screen.app._patterns_panel.pane.text.splitlines()


def shown(screen: Screen) -> set[str]:
    log = screen.app.log_view
    return {" ".join(row.message.split()[:2]) for row in log.visible_rows if isinstance(row, Line)}


@pytest.mark.parametrize("size", [NARROW, WIDE, (200, 60), (40, 12)])
async def test_it_opens_below_the_log_and_closes(size: tuple[int, int]) -> None:
    async with running(engine(), size=size) as screen:
        await screen.press("P")
        assert "2 patterns" in screen.text
        assert [row.split()[0] for row in rows(screen)] == ["40", "20"]
        await screen.press("P")
        assert "2 patterns" not in screen.text
        assert screen.app.log_view.has_focus
        await screen.press("P", "escape")
        assert "2 patterns" not in screen.text


async def test_only_and_hidden_patterns_become_chips() -> None:
    async with running(engine()) as screen:
        await screen.press("P", "down", "enter")
        assert shown(screen) == {"ERROR disk"}
        assert "only pattern disk * is full 20" in screen.text
        assert rows(screen)[1].startswith("only ")
        assert len(rows(screen)) == 2  # the chips of patterns leave the list as it is
        await screen.press("enter")
        assert shown(screen) == {"ERROR disk", "INFO job"}
        await screen.press("x")
        assert shown(screen) == {"INFO job"}
        assert "without pattern disk * is full 20" in screen.text
        assert rows(screen)[1].startswith("hid ")
        await screen.press("x")
        assert "without" not in screen.text


async def test_clicks() -> None:
    async with running(engine(), size=WIDE) as screen:
        await screen.press("P")
        pane = screen.app._patterns_panel.pane
        await screen.pilot.click(pane, offset=(30, 2))
        await screen.settle()
        assert pane.current == "ERROR disk * is full"
        await screen.pilot.click(pane, offset=(30, 2), times=2)
        await screen.settle()
        assert shown(screen) == {"ERROR disk"}


async def test_new_and_gone_patterns_are_marked() -> None:
    async with running(engine()) as screen:
        await screen.press("P")
        assert "new since 12:00:59" in screen.text
        later = [
            make_line(99, f"WARN fan {at} stopped", at_ms=EPOCH_MS + (80 + at) * 1_000)
            for at in range(3)
        ]
        screen.engine.add(later)
        await screen.settle()
        marks = {row.split("  ")[-1]: row.split()[0] for row in rows(screen)}
        assert marks["fan * stopped"] == "new"
        assert marks["job * done"] == "gone"
        await screen.press("m")
        assert "new since 12:01:22" in screen.text
        assert not any(row.startswith("new") for row in rows(screen))


async def test_a_moment_is_chosen_by_the_cursor_of_the_log() -> None:
    async with running(engine()) as screen:
        await screen.press("g", "down", "P", "m")
        assert "new since 12:00:01" in screen.text
        assert [row.split()[0] for row in rows(screen)] == ["40", "new"]


async def test_the_order_can_be_changed() -> None:
    async with running(engine()) as screen:
        await screen.press("P", "down")
        assert "by count" in screen.text
        await screen.press("o")
        assert "newest first" in screen.text
        assert [row.split()[0] for row in rows(screen)] == ["20", "40"]
        assert screen.app._patterns_panel.pane.current == "ERROR disk * is full"


async def test_filters_decide_which_lines_are_counted() -> None:
    async with running(engine()) as screen:
        await screen.press("P", "5")
        assert len(rows(screen)) == 1
        assert "filtered" in screen.text
        await screen.press("1")
        assert len(rows(screen)) == 2


async def test_lines_that_arrive_are_counted() -> None:
    async with running(engine()) as screen:
        await screen.press("P")
        screen.engine.add(lines(60, 3_000))
        async with asyncio.timeout(60):
            while "2,040" not in rows(screen)[0]:  # counted in slices
                await screen.settle()
        assert [row.split()[0] for row in rows(screen)] == ["2,040", "1,020"]


async def test_long_patterns_can_be_scrolled() -> None:
    found = FakeEngine()
    found.add([make_line(0, "word " * 30 + "end")])
    async with running(found) as screen:
        await screen.press("P")
        assert "end" not in rows(screen)[0][:76]
        await screen.press("P", "P", *["right"] * 8)
        assert "end" in rows(screen)[0][:76]
        await screen.press(*["left"] * 9)
        assert "end" not in rows(screen)[0][:76]


async def test_lines_not_in_memory_are_mentioned() -> None:
    found = FakeEngine(capacity=1_500)
    found.add(lines(0, 4_000))
    async with running(found) as screen:
        await screen.press("P")
        assert "lines not in memory" in screen.text


async def test_it_replaces_the_histogram() -> None:
    async with running(engine()) as screen:
        await screen.press("h")
        await screen.press("P")
        assert "per column" not in screen.text
        await screen.press("h")
        assert "2 patterns" not in screen.text
