"""Pictures of the screen; ``pytest tests/snapshot --snapshot-update`` renews them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.support import scenes
from tests.support.fake_catalogue import FakeCatalogue
from tests.support.screen import NARROW, WIDE

Picture = Callable[..., Awaitable[None]]
SIZES = pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "120x40"])


@SIZES
async def test_live(picture: Picture, size: tuple[int, int]) -> None:
    await picture(scenes.live(), size=size)


@SIZES
async def test_pattern(picture: Picture, size: tuple[int, int]) -> None:
    await picture(scenes.live(pattern='{ $.level = "error" }'), "c", size=size)


@SIZES
async def test_reconnecting(picture: Picture, size: tuple[int, int]) -> None:
    await picture(scenes.reconnecting(), size=size)


async def test_backfilling(picture: Picture) -> None:
    await picture(scenes.backfilling(), size=NARROW)


@SIZES
async def test_missing(picture: Picture, size: tuple[int, int]) -> None:
    await picture(scenes.missing(), size=size)


@SIZES
async def test_altered(picture: Picture, size: tuple[int, int]) -> None:
    keys = ("k",) * 5 if size == NARROW else ("k",) * 6
    await picture(scenes.altered(), *keys, "enter", size=size)


async def test_unreachable(picture: Picture) -> None:
    await picture(scenes.unreachable(), size=NARROW, controls=False)


@SIZES
async def test_detail(picture: Picture, size: tuple[int, int]) -> None:
    await picture(scenes.live(), "k", "k", "enter", size=size)


@SIZES
async def test_connection(picture: Picture, size: tuple[int, int]) -> None:
    await picture(scenes.live(), "c", size=size)


@SIZES
async def test_help(picture: Picture, size: tuple[int, int]) -> None:
    await picture(scenes.live(), "question_mark", size=size)


@SIZES
async def test_streams(picture: Picture, size: tuple[int, int]) -> None:
    await picture(scenes.live(), "s", "down", "space", "down", size=size)


@SIZES
async def test_picker(picture: Picture, size: tuple[int, int]) -> None:
    keys = ("o", "down", "tab", "tab")
    await picture(scenes.live(), *keys, size=size, catalogue=FakeCatalogue())


@SIZES
async def test_columns(picture: Picture, size: tuple[int, int]) -> None:
    await picture(scenes.live(), "C", "tab", "tab", size=size)


async def test_selection(picture: Picture) -> None:
    await picture(scenes.live(), "k", "k", "K", "K", "K", size=NARROW)


async def test_save(picture: Picture) -> None:
    await picture(scenes.live(), "ctrl+s", size=NARROW)


@SIZES
async def test_histogram(picture: Picture, size: tuple[int, int]) -> None:
    await picture(scenes.live(), "h", "left", "left", "left", size=size)


async def test_search(picture: Picture) -> None:
    await picture(scenes.live(), "slash", *"frame", "enter", "N", size=WIDE)


async def test_filters(picture: Picture) -> None:
    await picture(scenes.live(), "f", *"gpu", "enter", "x", *"gpu1", "enter", "space", size=NARROW)


@SIZES
async def test_context_lines(picture: Picture, size: tuple[int, int]) -> None:
    await picture(scenes.live(), "f", *"WARN", "enter", "z", "k", "k", "k", size=size)


async def test_faults(picture: Picture) -> None:
    await picture(scenes.live(), "f2", "2", size=NARROW)


async def test_faults_found_by_name(picture: Picture) -> None:
    await picture(scenes.live(), "f2", "slash", *"time", size=NARROW)


@SIZES
async def test_attributes_of_a_fault(picture: Picture, size: tuple[int, int]) -> None:
    await picture(scenes.live(), "f2", "enter", "ctrl+u", *"2d", "enter", size=size)


async def test_wrapped(picture: Picture) -> None:
    await picture(scenes.live(), "vertical_line", "E", size=NARROW)


async def test_light(picture: Picture) -> None:
    await picture(scenes.live(), "k", size=NARROW, theme="gapless-light")


async def test_without_colour(picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    await picture(scenes.missing(), "k", size=NARROW)


@SIZES
async def test_several_groups(picture: Picture, size: tuple[int, int]) -> None:
    await picture(scenes.several_groups(), size=size)


@SIZES
async def test_overview_of_groups(picture: Picture, size: tuple[int, int]) -> None:
    await picture(scenes.several_groups(), "c", size=size)


async def test_waiting(picture: Picture) -> None:
    await picture(scenes.waiting(), size=NARROW)


async def test_picker_with_a_pattern(picture: Picture) -> None:
    await picture(scenes.live(), "o", *"/ecs/*", size=NARROW, catalogue=FakeCatalogue())


PATTERNS = pytest.mark.parametrize("size", [NARROW, (200, 60)], ids=["80x24", "200x60"])


@PATTERNS
async def test_patterns(picture: Picture, size: tuple[int, int]) -> None:
    keys = ("g", "pagedown", "pagedown", "P", "m", "o", "down", "x", "down")
    await picture(scenes.formats(), *keys, size=size)


@pytest.mark.parametrize("theme", ["gapless-light", "ansi-dark"])
async def test_patterns_in_other_themes(picture: Picture, theme: str) -> None:
    await picture(scenes.formats(), "P", "down", "enter", size=WIDE, theme=theme)


async def test_patterns_without_colour(picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    await picture(scenes.formats(), "P", "down", "x", size=NARROW)
