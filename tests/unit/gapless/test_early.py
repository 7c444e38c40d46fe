from __future__ import annotations

import random
from unittest.mock import patch

import pytest

from gapless.early import Early
from tests.support.told import SINCE, Told, item
from tests.support.told_server import Script, Talk, eventually, stay, told_server
from tui.engine import Engine
from tui.rows import Rule
from tui.target import TargetSpec
from wire.messages import Lost


class Picture:
    """What would be drawn."""

    def __init__(self) -> None:
        self.drawn: list[list[str]] = []

    def size(self) -> tuple[int, int]:
        return 80, 2

    def fill(self, lines: list[str]) -> None:
        self.drawn.append(lines)


@pytest.fixture
def picture(monkeypatch: pytest.MonkeyPatch) -> Picture:
    made = Picture()
    monkeypatch.setattr("gapless.early.skeleton", made)
    monkeypatch.setattr("gapless.early.environment.is_ascii_only", lambda: False)
    monkeypatch.setattr("gapless.early.FIRST_S", 60)
    return made


def speaks(told: Told) -> Script:
    async def script(talk: Talk) -> None:
        await talk.say(told.welcome(lost=[Lost(SINCE, 1_100, "expired")]))
        lines = [item(one, 2_000 + one, message=f"m{one}") for one in (1, 2, 3)]
        await talk.say(told.events(0, lines))
        await stay(talk)

    return script


def engine_of(url: str) -> Engine:
    return Engine([TargetSpec(url=url, since=SINCE)], rng=random.Random(0))


async def test_lines_are_drawn_as_soon_as_they_have_come(picture: Picture) -> None:
    async with told_server(speaks(Told())) as server:
        engine = engine_of(server.url)
        early = Early(engine, draws=True)
        await early.begin()
        await engine.start()  # as the screen does: it is the same connection
        rules: list[Rule] = []
        early.hand_over(rules.extend)
        await engine.stop()
    assert len(server.queries) == 1
    assert [line.split()[-1] for line in picture.drawn[-1]] == ["m2", "m3"]
    assert [rule.kind for rule in rules] == ["lost"]


async def test_where_filters_choose_lines_none_is_drawn(picture: Picture) -> None:
    async with told_server(speaks(Told())) as server:
        engine = engine_of(server.url)
        await Early(engine, draws=False).begin()
        await eventually(lambda: engine.timeline.lines == 3)
        await engine.stop()
    assert picture.drawn == []


async def test_a_terminal_that_is_gone_is_the_screens_to_tell(picture: Picture) -> None:
    with patch.object(picture, "fill", side_effect=OSError):
        async with told_server(speaks(Told())) as server:
            engine = engine_of(server.url)
            await Early(engine, draws=True).begin()
            await engine.stop()
    assert engine.timeline.lines == 3
