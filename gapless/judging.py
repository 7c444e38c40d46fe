"""Has what a screen shows judged every few seconds, while a simulator lends its judge."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Protocol

from gapless.errors import GaplessError
from tui.controls import Story
from tui.engine import Engine
from tui.record import entries
from wire.codec import encode

EVERY_S: Final = 1.5
LINES_MAX: Final = 20_000
"""More are not judged: the screen would stand still for a moment each time."""


class Judge(Protocol):
    """Who knows what CloudWatch accepted."""

    @property
    def story(self) -> Story | None:
        """The scenario that is on; without one nobody is judged."""

    def judge(self, record: bytes) -> None:
        """Judge a record; raises GaplessError where nobody answers."""


def is_judged(story: Story | None, lines: int) -> bool:
    """Whether a screen with so many lines is judged."""
    return story is not None and lines <= LINES_MAX


async def judge_on_and_on(engine: Engine, judge: Judge) -> None:
    """Until it is cancelled."""
    while True:
        await asyncio.sleep(EVERY_S)
        if not is_judged(judge.story, engine.timeline.lines):
            continue
        engine.merge()
        record = b"".join(encode(entry) + b"\n" for entry in entries(engine))
        # What the simulator does not answer now, it may the next time.
        with contextlib.suppress(GaplessError):
            await asyncio.to_thread(judge.judge, record)
