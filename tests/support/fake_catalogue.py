"""A catalogue of things to open, without AWS."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

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

    @property
    def place(self) -> str:
        return "account 123456789012, eu-west-1" if "groups" in self.asked else ""

    async def last_events(self) -> Mapping[str, int]:
        await self.may_answer.wait()
        return {name: EPOCH_MS - at * 3_600_000 for at, name in enumerate(GROUPS, 1)}

    async def groups(self) -> Sequence[Choice]:
        self.asked.append("groups")
        await self.may_answer.wait()
        if self.broken:
            msg = "AccessDenied: no \x1b[2Jlogs:DescribeLogGroups"
            raise CatalogueError(msg)
        return [Choice(name, None, name) for name in GROUPS]

    async def executions(self, target: str) -> Sequence[Choice]:
        self.asked.append(target)
        await self.may_answer.wait()
        return [
            Choice(target, f"exec-{number:04d}", f"exec-{number:04d} {target}", status,
                   EPOCH_MS + number * 60_000)
            for number, status in enumerate(("SUCCEEDED", "FAILED", "running"))
        ]  # fmt: skip
