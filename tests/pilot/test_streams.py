from __future__ import annotations

import pytest

from tests.support.fake_engine import FakeEngine, make_line, target_status
from tests.support.screen import NARROW, WIDE, Screen, running


def three(each: int = 10) -> FakeEngine:
    engine = FakeEngine()
    engine.add(
        make_line(number, f"from {'abc'[number % 3]} {number}", stream=f"job/{'abc'[number % 3]}")
        for number in range(3 * each)
    )
    return engine


def log_of(screen: Screen) -> str:
    return "\n".join(strip.text for strip in screen.app.log_view._drawn())


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_streams_with_their_lines(size: tuple[int, int]) -> None:
    async with running(three(1_500), size=size) as screen:
        await screen.press("s")
        assert "3 streams" in screen.text
        for name in "abc":
            assert "1,500" in screen.line_with(f"[x] job/{name}")
        screen.engine.add([make_line(90_000, "more", stream="job/b")])
        screen.engine.add([make_line(90_001, "more", stream="job/new")])
        await screen.settle()
        assert "1,501" in screen.line_with("[x] job/b")
        assert " 1" in screen.line_with("[x] job/new")
        await screen.press("s")
        assert "streams" not in "\n".join(screen.lines[:-1])
        assert screen.app.log_view.has_focus


async def test_a_stream_is_switched_off_and_on() -> None:
    async with running(three(), size=WIDE) as screen:
        await screen.press("s", "down", "space")
        assert "from b" not in log_of(screen)
        assert "from a" in log_of(screen)
        assert "[ ] job/b" in screen.text
        assert "1 stream hidden" in screen.text
        assert "20 of 30 lines" in screen.text
        await screen.press("space")
        assert "from b" in log_of(screen)
        assert "stream hidden" not in screen.text


async def test_only_one_stream() -> None:
    async with running(three(), size=WIDE) as screen:
        await screen.press("s", "end", "enter")
        assert "from c" in log_of(screen)
        assert "from a" not in log_of(screen)
        assert "stream job/c" in screen.text
        screen.engine.add([make_line(900, "from another", stream="job/new")])
        await screen.settle()
        assert "from another" not in log_of(screen)
        await screen.press("up", "space")
        assert "only 2 streams" in screen.text
        await screen.press("a")
        assert "from another" in log_of(screen)
        await screen.press("o", "o")
        assert "from another" in log_of(screen)
        assert "31 of 31" not in screen.text


async def test_streams_and_other_filters_together() -> None:
    async with running(three(), size=WIDE) as screen:
        await screen.press("f")
        await screen.type("/2$/")
        await screen.press("s", "space", "escape")
        assert "2 of 30 lines" in screen.text
        await screen.press("escape")
        assert "of 30 lines" not in screen.text


async def test_streams_by_mouse() -> None:
    async with running(three(), size=WIDE) as screen:
        await screen.press("s")
        await screen.pilot.click("#streams", offset=(5, 2))
        await screen.settle()
        assert "[ ] job/b" in screen.text
        await screen.pilot.click("#streams", offset=(5, 3), times=2)
        await screen.settle()
        assert "from c" in log_of(screen)
        assert "from a" not in log_of(screen)
        await screen.pilot.click("#chip-bar", offset=(3, 0))
        await screen.settle()
        assert "from a" in log_of(screen)


async def test_a_stream_has_its_colour_in_the_list_and_in_the_panel() -> None:
    async with running(three(), size=WIDE) as screen:
        await screen.press("s")
        palette = screen.app._palette
        for name in ("job/a", "job/b"):
            role = screen.app._streams_panel._role_of((0, name))
            listed = (screen.app.log_view._drawn(), palette.style(role).color)
            pane = [screen.app._streams_panel.pane.render_line(y) for y in range(3)]
            paned = (pane, palette.style(role, "panel").color)
            for strips, *ground in (listed, paned):
                assert any(
                    cell.text.startswith((name, name[-1] + " "))
                    and cell.style
                    and cell.style.color == ground[0]
                    for strip in strips
                    for cell in strip
                ), name


async def test_one_panel_at_a_time() -> None:
    async with running(three()) as screen:
        await screen.press("s", "c")
        assert "3 streams" not in screen.text
        assert "connection" in screen.text
        await screen.press("s")
        assert "3 streams" in screen.text
        assert "Disconnections" not in screen.text
        await screen.press("escape")
        assert "3 streams" not in screen.text
        assert screen.app.log_view.has_focus


async def test_no_streams_yet() -> None:
    async with running() as screen:
        await screen.press("s", "space", "enter", "a", "down", "pagedown", "end", "home")
        assert "0 streams" in screen.text


async def test_disabled_chips_still_count_their_matches() -> None:
    async with running(three(), size=WIDE) as screen:
        await screen.press("f")
        await screen.type("from a")
        assert "only from a 10" in screen.text
        await screen.press("ctrl+f")
        assert "filters off" in screen.text
        assert "only from a 10" in screen.text
        screen.engine.add([make_line(900, "from a again")])
        await screen.settle()
        assert "only from a 11" in screen.text
        await screen.press("ctrl+f")
        assert "only from a 11" in screen.text
        assert "11 of 31 lines" in screen.text


async def test_streams_are_open_on_a_very_wide_screen() -> None:
    async with running(three(), size=(200, 60)) as screen:
        assert "3 streams" in screen.text
        assert screen.app.log_view.has_focus
        await screen.pilot.resize_terminal(120, 40)
        await screen.settle()
        assert "3 streams" not in screen.text
        await screen.pilot.resize_terminal(200, 60)
        await screen.settle()
        assert "3 streams" in screen.text
        await screen.press("escape")
        assert "3 streams" not in screen.text
        await screen.pilot.resize_terminal(210, 60)
        await screen.settle()
        assert "3 streams" not in screen.text, "the user closed it"


def two_groups() -> FakeEngine:
    """Two log groups, each with streams ``app`` and of its own."""
    engine = FakeEngine()
    engine.extra["targets"] = tuple(
        target_status(target=number, name=name, group=name)
        for number, name in enumerate(("/ecs/web", "/ecs/mail"))
    )
    engine.add(
        make_line(2 * number + target, f"from {name} {number}", stream="app", target=target)
        for number in range(10)
        for target, name in enumerate(("web", "mail"))
    )
    return engine


async def test_streams_of_one_name_in_two_groups_are_switched_apart() -> None:
    async with running(two_groups(), size=WIDE) as screen:
        await screen.press("s")
        assert "2 streams" in screen.text
        assert " 10" in screen.line_with("[x] mail app")
        assert " 10" in screen.line_with("[x] web  app")
        roles = {screen.app._streams_panel._role_of((target, "app")) for target in (0, 1)}
        assert len(roles) == 2
        await screen.press("space")
        assert "[ ] mail app" in screen.text
        assert "[x] web  app" in screen.text
        assert "from mail" not in log_of(screen)
        assert "from web" in log_of(screen)
        assert "1 stream hidden" in screen.text
        await screen.press("enter")
        assert "from mail" in log_of(screen)
        assert "from web" not in log_of(screen)
        assert "stream mail app" in screen.text
        await screen.press("down", "space")
        assert "only 2 streams" in screen.text
        assert "20 of 20 lines" in screen.text


@pytest.mark.parametrize(
    ("typed", "shown"), [("stream=app", 20), ("stream=app group=web", 10), ("stream=ap", 0)]
)
async def test_a_typed_stream_is_one_of_any_group(typed: str, shown: int) -> None:
    async with running(two_groups(), size=WIDE) as screen:
        await screen.press("f")
        await screen.type(typed)
        assert f"{shown} of 20 lines" in screen.text


async def test_the_stream_of_the_details_is_that_of_its_group() -> None:
    async with running(two_groups(), size=WIDE) as screen:
        await screen.press("enter", "tab", "j", "f")
        assert "only stream=app group=/ecs/m" in screen.text
        assert "from mail" in log_of(screen)
        assert "from web" not in log_of(screen)
