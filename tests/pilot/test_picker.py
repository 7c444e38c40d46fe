from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
import pytest

from tests.support.fake_catalogue import GROUPS, HERE, FakeCatalogue
from tests.support.fake_engine import EPOCH_MS, FakeEngine, make_line
from tests.support.screen import NARROW, WIDE, Screen, running
from tui.screen.ports import Choice
from tui.screen.theme import PickerApp


def chosen(screen: Screen) -> list[tuple[str, str | None]]:
    return [(one.target, one.execution) for one in screen.app.chosen]


@pytest.mark.parametrize("size", [NARROW, WIDE, (200, 60)])
async def test_everything_newest_first(size: tuple[int, int]) -> None:
    async with running(size=size, catalogue=FakeCatalogue()) as screen:
        await screen.press("o")
        at = [next(y for y, line in enumerate(screen.lines) if name in line)
              for name in ("exec-0002", "exec-0001", GROUPS[0], GROUPS[3])]  # fmt: skip
        assert at == sorted(at)
        assert "FAILED" in screen.line_with("exec-0001")
        assert "log group" not in screen.line_with(GROUPS[0])
        assert "log groups of account 123456789012, eu-west-1" in screen.text
        assert "open: 8 of 8, by last event" in screen.text
        await screen.press("escape")
        assert "open: 8" not in screen.text
        assert screen.app.is_running


async def test_log_groups_are_sorted_by_last_event_or_name() -> None:
    def order(screen: Screen) -> list[str]:
        return [name for line in screen.lines for name in GROUPS if name in line]

    async with running(catalogue=Backwards()) as screen:
        await screen.press("o", *"/")
        assert order(screen) == list(reversed(GROUPS))
        assert "11-23 11:00" in screen.line_with(GROUPS[3])
        await screen.press("ctrl+o")
        assert order(screen) == list(GROUPS)
        assert "by name" in screen.text
        await screen.press("ctrl+o")
        assert order(screen) == list(reversed(GROUPS))


async def test_last_events_that_arrive_later_keep_what_is_marked() -> None:
    catalogue = LateTimes()
    async with running(catalogue=catalogue) as screen:
        await screen.pilot.press("o", *"ecs/web", "tab")
        await screen.settle()
        assert "[x]" in screen.line_with("/ecs/web")
        catalogue.may_tell.set()
        await screen.press("backspace")
        assert "11-23 11:00" in screen.line_with("[x] /ecs/web")
        await screen.pilot.press("enter")
        await screen.pilot.pause()
    assert chosen(screen) == [("/ecs/web", None)]


class Backwards(FakeCatalogue):
    """The last log group by name has the newest event."""

    async def last_events(self) -> Mapping[str, int]:
        return {name: EPOCH_MS - at * 3_600_000 for at, name in enumerate(reversed(GROUPS), 1)}


class LateTimes(Backwards):
    """Reads the times of last events only once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_tell = asyncio.Event()

    async def last_events(self) -> Mapping[str, int]:
        await self.may_tell.wait()
        return await super().last_events()


class Many(FakeCatalogue):
    """More choices than fit on the screen."""

    async def executions(self, target: str) -> Sequence[Choice]:
        few = await super().executions(target)
        return [
            msgspec.structs.replace(one, execution=f"{one.execution}-{number}")
            for one in few
            for number in range(20)
        ]


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_beside_the_scroll_bar_nothing_is_cut(size: tuple[int, int]) -> None:
    async with running(size=size, catalogue=Many()) as screen:
        await screen.press("o")
        assert screen.text.count("11-23 12:02") > 5
        assert "\u203a" not in screen.text


async def test_a_few_letters_and_enter() -> None:
    async with running(catalogue=FakeCatalogue()) as screen:
        await screen.press("o", *"thumb")
        assert "open: 1 of 8" in screen.text
        await screen.pilot.press("enter")
        await screen.pilot.pause()
    assert chosen(screen) == [("/aws/lambda/thumbnail", None)]
    assert screen.engine.stopped
    assert screen.app.return_code == 0


async def test_a_pattern_opens_all_that_match() -> None:
    async with running(catalogue=FakeCatalogue()) as screen:
        await screen.press("o", *"/aws/lambda/*")
        assert "and new ones" in screen.line_with("[ ] /aws/lambda/*")
        assert "/aws/lambda/thumbnail" in screen.text
        await screen.pilot.press("enter")
        await screen.pilot.pause()
    assert chosen(screen) == [("/aws/lambda/*", None)]


async def test_several_at_once() -> None:
    async with running(catalogue=FakeCatalogue()) as screen:
        await screen.press("o", *"ecs", "tab", "tab")
        assert "2 marked" in screen.text
        assert screen.text.count("[x]") == 2
        await screen.press("up", "tab", *["backspace"] * 3, *"resize", "tab")
        assert "2 marked" in screen.text
        await screen.pilot.press("enter")
        await screen.pilot.pause()
    assert chosen(screen) == [("/ecs/render", None), ("/aws/lambda/resize", None)]


async def test_the_executions_of_a_group() -> None:
    catalogue = FakeCatalogue()
    async with running(catalogue=catalogue) as screen:
        await screen.press("o", *"ecs/web", "right")
        assert catalogue.asked == ["groups", HERE, "/ecs/web"]
        assert "exec-0001 /ecs/web" in screen.text
        assert "/aws/lambda" not in screen.text
        await screen.press("left")
        assert "/aws/lambda/resize" in screen.text
        await screen.press(*"web", "right", "escape", "left", *"web", "left", "right", "right")
        await screen.press(*"exec1")
        await screen.pilot.press("enter")
        await screen.pilot.pause()
    assert chosen(screen) == [("/ecs/web", "exec-0001")]


async def test_by_mouse() -> None:
    async with running(catalogue=FakeCatalogue()) as screen:
        await screen.press("o")
        y = next(y for y, line in enumerate(screen.lines) if GROUPS[1] in line)
        await screen.pilot.click(offset=(12, y))
        await screen.settle()
        assert "[x]" in screen.line_with(GROUPS[1])
        await screen.pilot.click(offset=(12, y + 1), times=2)
        await screen.pilot.pause()
    assert chosen(screen) == [(GROUPS[2], None)]


async def test_a_failed_request_says_why() -> None:
    async with running(size=WIDE, catalogue=FakeCatalogue(broken=True)) as screen:
        await screen.press("o")
        assert "log groups: AccessDenied: no ␛[2Jlogs:DescribeLogGroups" in screen.text
        assert "\x1b[2J" not in screen.raw
        assert "exec-0001" in screen.text
        await screen.press("end", "tab", "enter", "pagedown", "pageup", "enter")


async def test_while_loading() -> None:
    catalogue = FakeCatalogue(slow=True)
    async with running(catalogue=catalogue) as screen:
        await screen.pilot.press("o", "o")
        await screen.settle()
        assert "loading …" in screen.text
        assert HERE in screen.text
        catalogue.may_answer.set()
        await screen.press("backspace")
        assert "loading" not in screen.text
        assert "open: 8 of 8" in screen.text
        await screen.press(*"zzz")
        assert "No log groups match" in screen.text
        await screen.press("enter", "tab", "right")
        assert screen.app.is_running


async def test_the_cursor_stays_on_the_first_row_until_it_is_moved() -> None:
    catalogue = FakeCatalogue(slow=True)
    async with running(catalogue=catalogue) as screen:
        await screen.pilot.press("o")
        await screen.settle()
        catalogue.may_answer.set()
        await screen.press("down", "tab")
        await screen.pilot.press("enter")
        await screen.pilot.pause()
    assert chosen(screen) == [(HERE, "exec-0001")]


async def test_the_viewer_goes_on_behind_it() -> None:
    engine = FakeEngine()
    async with running(engine, catalogue=FakeCatalogue()) as screen:
        await screen.press("o")
        engine.add([make_line(1, "a line")])
        await screen.press("escape")
        assert "a line" in screen.text


async def test_without_a_catalogue() -> None:
    async with running() as screen:
        await screen.press("o")
        assert "nothing else can be opened here" in screen.lines[-2]


@pytest.mark.parametrize(
    ("keys", "found"),
    [(["enter"], 1), (["escape"], 0), (["ctrl+c"], 0), (["tab", "tab", "enter"], 2)],
)
async def test_the_picker_on_its_own(keys: list[str], found: int) -> None:
    app = PickerApp(FakeCatalogue())
    async with app.run_test(size=NARROW) as pilot:
        await pilot.pause()
        await app.workers.wait_for_complete()
        await pilot.press(*keys)
        await pilot.pause()
    assert len(app.chosen) == found
    assert all(isinstance(one, Choice) for one in app.chosen)
