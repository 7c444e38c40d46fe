"""A catalogue of things to open, without AWS."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.support.fake_engine import EPOCH_MS
from tui.screen.ports import CatalogueError, Choice

HERE = "/gapless/demo"
GROUPS = ("/aws/lambda/resize", "/aws/lambda/thumbnail", "/ecs/render", "/ecs/web")


class FakeCatalogue:
    """Implements ``tui.screen.ports.Catalogue``; ``slow`` waits for ``may_answer``."""

    def __init__(self, *, broken: bool = False, slow: bool = False) -> None:
        self.broken = broken
        self.may_answer = asyncio.Event()
        if not slow:
            self.may_answer.set()
        self.asked: list[str] = []

    @property
    def open_now(self) -> Sequence[Choice]:
        return (Choice(HERE, None, HERE, "open now", None),)

    async def groups(self) -> Sequence[Choice]:
        self.asked.append("groups")
        await self.may_answer.wait()
        if self.broken:
            msg = "AccessDenied: no \x1b[2Jlogs:DescribeLogGroups"
            raise CatalogueError(msg)
        return [
            Choice(name, None, name, "log group", EPOCH_MS - number * 86_400_000)
            for number, name in enumerate(GROUPS)
        ]

    async def executions(self, target: str) -> Sequence[Choice]:
        self.asked.append(target)
        await self.may_answer.wait()
        return [
            Choice(target, f"exec-{number:04d}", f"exec-{number:04d} {target}", status,
                   EPOCH_MS + number * 60_000)
            for number, status in enumerate(("SUCCEEDED", "FAILED", "running"))
        ]  # fmt: skip
