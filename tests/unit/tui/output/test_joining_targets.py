"""Plain output of log groups that join while a consumer prints."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from pathlib import Path

import pytest

from tests.support.viewer.blocking_calls import BlockingCalls
from tests.support.viewer.scripted_forwarder import (
    Script,
    ScriptedConnection,
    eventually,
    scripted_forwarder,
    stay_connected,
)
from tests.support.viewer.server_messages import SINCE, ForwarderMessages, item
from tui.client import engine as engine_module
from tui.client.engine import Engine
from tui.client.membership import ListedGroup
from tui.client.target import TargetSpec
from tui.output import plain as plain_module
from tui.output.consumer import ConsumedTarget, Consumer, OutputQuery
from tui.output.formats import OutputStyle
from tui.output.plain import Plain, PlainOptions
from wire.query import Filter


class JoiningGroups:
    """A source with no group at first; the consumer prints those that join."""

    name = "/g/*"
    known = ()

    def __init__(self, url: str, consumer: Consumer) -> None:
        self.url = url
        self.names: list[str] = []
        self._consumer = consumer

    async def list_groups(self) -> list[ListedGroup]:
        return [ListedGroup(name, name) for name in self.names]

    def spec_of(self, listed: ListedGroup) -> TargetSpec:
        query = OutputQuery(Filter())
        target = ConsumedTarget(
            identity=listed.group, group=listed.group, name=listed.name, query=query
        )
        start = self._consumer.start_of(self._consumer.add_target(target))
        since, cursor = (SINCE, None) if start is None else start
        return TargetSpec(
            url=self.url, name=listed.name, group=listed.group, since=since, cursor=cursor
        )


def live() -> Script:
    """The line of each group is its name; ``/g/silent`` has none."""

    async def script(connection: ScriptedConnection) -> None:
        said, group = ForwarderMessages(), connection.query.group or ""
        resumed = connection.query.after is not None
        await connection.send(said.welcome(outcome="resumed" if resumed else "fresh"))
        await connection.send(said.backfill(f"{SINCE}:0..", done=True))
        if group != "/g/silent" and not resumed:
            await connection.send(said.events(0, [item(1, 2_000 + len(group), message=group)]))
            await connection.send(said.mark(SINCE, 5_000, 1))
        await stay_connected(connection)

    return script


class Run:
    """One run of the consumer ``archive``."""

    def __init__(self, url: str, folder: Path) -> None:
        self.consumer = Consumer(folder, "archive", "raw", [], lambda _text: None)
        self.groups = JoiningGroups(url, self.consumer)
        self.reading, self.writing = os.pipe()
        self.calls = BlockingCalls()
        os.set_blocking(self.reading, False)
        self.data = b""
        self.said: list[str] = []
        engine = Engine([], sources=[self.groups], rng=random.Random(0), wall_ms=lambda: 100_000)
        options = PlainOptions(style=OutputStyle("raw"), order="arrival")
        plain = Plain(
            engine, options, out=self.writing, say=self.said.append, consumer=self.consumer
        )
        self.task = asyncio.create_task(plain.run())

    @property
    def printed(self) -> list[str]:
        with contextlib.suppress(BlockingIOError):
            self.data += os.read(self.reading, 1 << 16)
        assert not self.task.done(), self.task.exception()
        return self.data.decode().splitlines()

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        os.close(self.reading)
        await self.calls.wait_end()
        os.close(self.writing)
        self.consumer.close()


def is_saved(folder: Path) -> bool:
    """Whether the line counts as printed."""
    return any('"through":1' in one.read_text() for one in folder.glob("*.output.json"))


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "LIST_S", 0.02)
    monkeypatch.setattr(plain_module, "PRINT_S", 0.005)
    monkeypatch.setattr(plain_module, "SAVE_S", 0)


async def test_a_group_that_joins_without_a_line_ends_nothing(tmp_path: Path) -> None:
    async with scripted_forwarder(live()) as forwarder:
        run = Run(forwarder.url, tmp_path)
        try:
            run.groups.names = ["/g/silent"]
            await eventually(lambda: run.said == ["log group /g/silent joined"])
            await eventually(lambda: len(forwarder.queries) == 1 and run.printed == [])
            run.groups.names = ["/g/silent", "/g/a"]
            await eventually(lambda: run.printed == ["/g/a"])
        finally:
            await run.end()


async def test_what_was_printed_of_a_group_that_joined_is_known_to_the_next_run(
    tmp_path: Path,
) -> None:
    async with scripted_forwarder(live()) as forwarder:
        run = Run(forwarder.url, tmp_path)
        try:
            run.groups.names = ["/g/a"]
            await eventually(lambda: run.printed == ["/g/a"])
            await eventually(lambda: is_saved(tmp_path))
        finally:
            await run.end()
        run = Run(forwarder.url, tmp_path)
        try:
            run.groups.names = ["/g/a", "/g/bb"]
            await eventually(lambda: run.printed == ["/g/bb"])
            assert [one.after for one in forwarder.queries] == [None, 1, None]
        finally:
            await run.end()
