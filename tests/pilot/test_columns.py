"""Columns of fields: chosen by key, mouse and command line, kept for the next run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.support.fake_engine import FakeEngine, make_line
from tests.support.screen import NARROW, WIDE, Screen, running
from tui.client import saved
from tui.render.fields import OWN_NAMES
from tui.screen.columns import FirstColumns

SIZES = pytest.mark.parametrize("size", [NARROW, WIDE, (200, 60)])


def engine() -> FakeEngine:
    found = FakeEngine()
    messages = [
        json.dumps(
            {
                "level": "info",
                "msg": "done",
                "user": {"id": 1000 + number, "name": "漢字" * 3},
                "took": f"{number}ms",
                "size": 10**number,
            },
            ensure_ascii=False,
        )
        for number in range(9)
    ]
    found.timeline.add_many([make_line(at, text) for at, text in enumerate([*messages, "plain"])])
    return found


def row(screen: Screen, text: str) -> str:
    return screen.line_with(text)


@SIZES
async def test_a_chosen_field_stands_before_the_message_and_is_not_repeated(
    size: tuple[int, int],
) -> None:
    async with running(engine(), size=size) as screen:
        assert "user.id=1003" in screen.text
        await screen.press("C", *"user.id", "tab", "enter")
        header, line = row(screen, "user.id"), row(screen, " 1003 ")
        assert line.index("1003") + 4 == header.index("user.id") + len("user.id")  # to the right
        assert line.index("done") == header.index("message")
        assert "user.id=" not in screen.text
        assert "took=" in screen.text
        assert all(cell_len(one) == size[0] for one in screen.lines)


@SIZES
async def test_wide_characters_and_plain_lines_keep_the_columns_straight(
    size: tuple[int, int],
) -> None:
    first = FirstColumns(given="user.name,took")
    async with running(engine(), size=size, columns=first) as screen:
        header = row(screen, "took")
        at = cell_len(header[: header.index("message")])
        for line in screen.lines:
            if "done" in line or "plain" in line:
                found = line.index("done" if "done" in line else "plain")
                assert cell_len(line[:found]) == at


async def test_enter_without_a_choice_switches_the_field_under_the_cursor() -> None:
    async with running(engine()) as screen:
        await screen.press("C", *"took", "enter")
        assert "took" in screen.lines[1]
        await screen.press("C", *"took", "enter")
        assert screen.lines[1].startswith(" 12:00")


async def test_escape_restores_the_columns() -> None:
    async with running(engine(), columns=FirstColumns(given="took")) as screen:
        await screen.press("C", *"user.id", "tab")
        assert "user.id" in screen.lines[1]
        await screen.press("escape")
        assert "took" in screen.lines[1]
        assert "user.id" not in screen.lines[1]


async def test_shift_and_an_arrow_change_the_order() -> None:
    async with running(engine(), columns=FirstColumns(given="took,size")) as screen:
        await screen.press("C", *"size", "shift+up", "enter")
        assert screen.lines[1].index("size") < screen.lines[1].index("took")


async def test_a_click_on_a_field_and_on_the_titles() -> None:
    async with running(engine(), columns=FirstColumns(given="took")) as screen:
        await screen.pilot.click("#column-bar", offset=(5, 0))
        await screen.settle()
        y = next(at for at, line in enumerate(screen.lines) if "] size" in line)
        await screen.pilot.click(offset=(20, y))
        await screen.press("enter")
        assert "size" in screen.lines[1]


async def test_columns_are_kept_for_the_next_run_and_fields_beats_them(tmp_path: Path) -> None:
    path = saved.columns_path(tmp_path, [("own:x", "/g")])
    async with running(engine(), columns=FirstColumns(path)) as screen:
        await screen.press("C", *"took", "enter")
    assert saved.load_columns(path) == ["took"]
    async with running(engine(), columns=FirstColumns(path)) as screen:
        assert "took" in screen.lines[1]
    async with running(engine(), columns=FirstColumns(path, "size")) as screen:
        assert "took" not in screen.lines[1]
        assert "size" in screen.lines[1]
    assert saved.load_columns(path) == ["took"]


async def test_columns_that_cannot_be_kept_are_reported(tmp_path: Path) -> None:
    first = FirstColumns(tmp_path / "missing" / "x.columns.json")
    async with running(engine(), columns=first) as screen:
        await screen.press("C", *"took", "enter")
        assert "cannot save the columns" in screen.text
        assert "took" in screen.lines[1]


async def test_what_every_row_shows_gets_no_column() -> None:
    first = FirstColumns(given=",".join(OWN_NAMES))
    async with running(engine(), columns=first) as screen:
        assert "stream" not in screen.lines[1]
        await screen.press("C")
        assert "] level" not in screen.text


async def test_columns_stay_while_the_message_scrolls_and_wraps() -> None:
    async with running(engine(), columns=FirstColumns(given="user.id")) as screen:
        await screen.press("right")
        assert " 1003 " in screen.text
        assert "done" not in screen.text
        await screen.press("left", "vertical_line")
        assert " 1003 " in screen.text
        at = screen.lines[1].index("message")
        parts = [line for line in screen.lines[2:-2] if not line[:at].strip() and line.strip("▐ ")]
        assert parts, "wrapped lines go on below their message"


async def test_columns_that_do_not_fit_stay_behind_the_message() -> None:
    first = FirstColumns(given="user.id,took,size,user.name")
    async with running(engine(), size=(60, 24), columns=first) as screen:
        assert "user.id took message" in screen.lines[1]
        assert "user.name" not in screen.lines[1]
        await screen.press("vertical_line")
        assert "size=1000" in screen.text
        assert "took=" not in screen.text
        assert all(cell_len(one) == 60 for one in screen.lines)


async def test_lines_without_fields_say_so() -> None:
    found = FakeEngine()
    found.timeline.add_many([make_line(1, "plain")])
    async with running(found) as screen:
        await screen.press("C")
        assert "The lines here have no fields" in screen.text
        await screen.press("tab", "enter")
        assert screen.app.is_running
