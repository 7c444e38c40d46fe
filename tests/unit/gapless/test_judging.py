from __future__ import annotations

import asyncio

import pytest

from gapless import judging
from gapless.errors import GaplessError
from gapless.judging import LINES_MAX, is_judged, judge_on_and_on
from tui.controls import Story
from tui.engine import Engine
from tui.target import TargetSpec

STORY = Story("scenario storm, seed 1", "", "now")


class Judge:
    """Remembers what it was shown, and fails the first time."""

    def __init__(self) -> None:
        self.story: Story | None = None
        self.records: list[bytes] = []
        self.asked = 0

    def judge(self, record: bytes) -> None:
        self.asked += 1
        if self.asked == 1:
            msg = "nobody answers"
            raise GaplessError(msg)
        self.records.append(record)


async def test_the_screen_is_judged_while_there_is_a_scenario(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judging, "EVERY_S", 0.001)
    engine, judge = Engine([TargetSpec(url="ws://h", name="/g")]), Judge()
    task = asyncio.create_task(judge_on_and_on(engine, judge))
    try:
        judge.story = STORY
        async with asyncio.timeout(60):
            while len(judge.records) < 2:  # noqa: ASYNC110 - it is called in a thread
                await asyncio.sleep(0.005)
    finally:
        task.cancel()
    assert judge.records[0].startswith(b'{"type":"record"')


def test_who_is_judged() -> None:
    assert is_judged(STORY, LINES_MAX)
    assert not is_judged(STORY, LINES_MAX + 1)
    assert not is_judged(None, 5)
