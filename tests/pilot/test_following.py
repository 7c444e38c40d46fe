from __future__ import annotations

import pytest
from textual.events import MouseScrollUp

from tests.support.fake_engine import EPOCH_MS, FakeEngine, make_line, make_rule
from tests.support.screen import Screen, running


def numbered(first: int, count: int) -> FakeEngine:
    engine = FakeEngine()
    engine.add(make_line(number, f"line {number}") for number in range(first, first + count))
    return engine


async def come(screen: Screen, first: int, count: int) -> None:
    screen.engine.add(make_line(number, f"line {number}") for number in range(first, first + count))
    await screen.settle()


def log_of(screen: Screen) -> list[str]:
    return screen.lines[1:-2]


async def test_new_lines_are_followed() -> None:
    async with running(numbered(0, 100)) as screen:
        assert "line 99" in log_of(screen)[-1]
        await come(screen, 100, 5)
        assert "line 104" in log_of(screen)[-1]
        assert "following" in screen.lines[-2]


async def test_scrolling_up_stops_following_and_counts_new_lines() -> None:
    async with running(numbered(0, 100)) as screen:
        await screen.press("k")
        before = log_of(screen)
        await come(screen, 100, 128)
        assert [line[:-1] for line in log_of(screen)] == [line[:-1] for line in before]
        assert "↓ 128 new" in screen.lines[-2]


async def test_nothing_new_is_no_count() -> None:
    async with running(numbered(0, 100)) as screen:
        await screen.press("k")
        assert "new" not in screen.lines[-2]
        at = screen.lines[-2].index("↓ F to follow")
        await screen.pilot.click("#status-bar", offset=(at, 0))
        await screen.settle()
        assert "following" in screen.lines[-2]


@pytest.mark.parametrize("key", ["F", "G", "end"])
async def test_back_to_the_end(key: str) -> None:
    async with running(numbered(0, 100)) as screen:
        await screen.press("pageup", "pageup")
        await come(screen, 100, 10)
        await screen.press(key)
        assert "line 109" in log_of(screen)[-1]
        assert "following" in screen.lines[-2]


async def test_late_lines_never_move_the_visible_rows() -> None:
    async with running(numbered(0, 200)) as screen:
        await screen.press("pageup")
        before = log_of(screen)
        screen.engine.add(
            make_line(900 + n, f"late {n}", at_ms=EPOCH_MS + 50 + n, origin="backfill")
            for n in range(300)
        )
        await screen.settle()
        # The last column is the scroll bar, which does move.
        assert [line[:-1] for line in log_of(screen)] == [line[:-1] for line in before]


async def test_space_freezes_the_screen_while_lines_arrive() -> None:
    async with running(numbered(0, 100)) as screen:
        await screen.press("space")
        before = log_of(screen)
        await come(screen, 100, 7)
        screen.engine.add([make_line(900, "late", at_ms=EPOCH_MS + 9_750)])
        await screen.settle()
        assert [line[:-1] for line in log_of(screen)] == [line[:-1] for line in before]
        assert "FROZEN · ↓ 7 new" in screen.lines[-2]
        await screen.press("space")
        assert "line 106" in log_of(screen)[-1]


@pytest.mark.parametrize(
    ("keys", "top", "last"),
    [
        (["pageup"], "line 159", "line 179"),
        (["pageup", "pageup", "pagedown"], "line 159", "line 179"),
        (["u"], "line 169", "line 189"),
        (["u", "u", "d"], "line 169", "line 189"),
        (["g"], "line 0", "line 20"),
        (["home"], "line 0", "line 20"),
        (["g", "pagedown"], "line 20", "line 40"),
        (["g", "end"], "line 179", "line 199"),
        (["up"] * 25, "line 174", "line 194"),
        (["g", *["j"] * 25], "line 5", "line 25"),
        (["g", *["down"] * 20], "line 0", "line 20"),
    ],
)
async def test_moving(keys: list[str], top: str, last: str) -> None:
    async with running(numbered(0, 200)) as screen:
        await screen.press(*keys)
        log = log_of(screen)
        assert log[0].rstrip(" ▐").endswith(top)
        assert log[-1].rstrip(" ▐").endswith(last)


async def test_the_wheel_and_the_mouse() -> None:
    async with running(numbered(0, 200)) as screen:
        log = screen.app.log_view
        await screen.pilot._post_mouse_events(  # no public way to turn the wheel
            [MouseScrollUp], log, offset=(10, 5)
        )
        await screen.settle()
        assert "line 176" in log_of(screen)[0]
        await screen.pilot.click(log, offset=(10, 3))
        await screen.settle()
        row = log.current()
        assert row is not None
        assert getattr(row, "message", "") == "line 179"
        await screen.pilot.click(log, offset=(79, 0))
        await screen.settle()
        assert "line 0" in log_of(screen)[0]
        await screen.pilot.click("#status-bar", offset=(75, 0))
        await screen.settle()
        assert "following" in screen.lines[-2]


async def test_two_clicks_open_a_line() -> None:
    async with running(numbered(0, 50)) as screen:
        await screen.pilot.click(screen.app.log_view, offset=(10, 3), times=2)
        await screen.settle()
        assert "log stream" in screen.text


async def test_the_gutter_shows_the_origin_of_lines() -> None:
    engine = FakeEngine()
    engine.add(
        [
            make_line(1, "live one"),
            make_line(2, "past one", origin="backfill"),
            make_line(3, "repaired one", origin="repair"),
            make_line(4, "late one", late_ms=42_000),
        ]
    )
    async with running(engine) as screen:
        assert screen.line_with("live one").startswith(" 12:")
        assert screen.line_with("past one").startswith("↑12:")
        assert screen.line_with("repaired one").startswith("+12:")
        assert screen.line_with("late one").startswith("~12:")
        screen.engine.report(screen.engine.timeline.begin_era(0, 1))
        await screen.settle()
        assert screen.line_with("live one").startswith("?12:")


async def test_rules_stand_at_the_time_of_their_event() -> None:
    engine = numbered(0, 10)
    engine.add(
        [
            make_rule(
                1,
                EPOCH_MS + 450,
                "offline",
                through_ms=EPOCH_MS + 10_650,
                count=203,
                reason="pulled",
            )
        ]
    )
    async with running(engine) as screen:
        at = next(y for y, line in enumerate(screen.lines) if "offline" in line)
        assert screen.lines[at].startswith("── offline 10.2 s · 203 lines recovered ────")
        assert "line 4" in screen.lines[at - 1]
        assert "line 5" in screen.lines[at + 1]


async def test_a_changed_rule_is_redrawn() -> None:
    engine = numbered(0, 3)
    engine.add([make_rule(1, EPOCH_MS + 150, "gap", state="repairing", reason="a scan")])
    async with running(engine) as screen:
        assert "gap repairing" in screen.text
        engine.add([make_rule(1, EPOCH_MS + 150, "gap", state="repaired", count=2)])
        await screen.settle()
        assert "gap repaired · 2 lines recovered" in screen.text
        assert "repairing" not in screen.text


async def test_another_size_keeps_the_cursor_on_the_screen() -> None:
    async with running(numbered(0, 200)) as screen:
        await screen.press("k", "k")
        await screen.pilot.resize_terminal(60, 10)
        await screen.settle()
        assert any("line 197" in line for line in log_of(screen))
        await screen.pilot.resize_terminal(200, 60)
        await screen.settle()
        assert any("line 197" in line for line in log_of(screen))
        assert all(len(line) == 200 for line in screen.lines)


@pytest.mark.parametrize("size", [(1, 1), (10, 3), (20, 4), (40, 12), (300, 100)])
async def test_any_size_is_survived(size: tuple[int, int]) -> None:
    async with running(numbered(0, 200), size=size) as screen:
        await screen.press("k", "pageup", "vertical_line", "enter", "c", "F")
        assert len(screen.lines) == size[1]


async def test_textual_knows_where_the_log_is() -> None:
    async with running(numbered(0, 200)) as screen:
        log = screen.app.log_view
        assert log.virtual_size.height == 200
        await screen.press("g")
        assert log.scroll_offset.y == 0
        await screen.press("G")
        assert log.scroll_offset.y == 200 - log.size.height
