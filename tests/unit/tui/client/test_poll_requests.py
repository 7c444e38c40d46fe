from __future__ import annotations

import asyncio

from tests.support.told import SINCE, item
from tests.support.told_http import NOW, Library
from tests.support.told_server import eventually, stay, told_server
from tui.client.address import Address
from tui.client.effects import Effect, Stored
from tui.client.http import Getter
from tui.client.poll_requests import Polling
from tui.client.polling import PollPlan
from tui.client.session import ViewerSession


class Heard:
    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.rounds: list[tuple[str | None, bool]] = []

    async def polled(self, effects: list[Effect]) -> None:
        self.effects += effects

    def round_ended(self, failure: str | None, *, brought: bool) -> None:
        self.rounds.append((failure, brought))


def polling_of(url: str, session: ViewerSession) -> tuple[Polling, Heard]:
    heard = Heard()
    getter = Getter(Address(url))
    return Polling(PollPlan(session), getter, heard, now_ms=lambda: NOW), heard


async def test_a_round_brings_lines_and_is_told() -> None:
    session = ViewerSession(since=SINCE)
    async with told_server(stay, library=Library([item(1, 2_000)])) as server:
        polling, heard = polling_of(server.url, session)
        await polling.round()
    assert [type(one) for one in heard.effects] == [Stored]
    assert heard.rounds == [(None, True)]


async def test_a_round_that_fails_is_told_with_its_reason() -> None:
    session = ViewerSession(since=SINCE)
    async with told_server(stay) as server:
        polling, heard = polling_of(server.url, session)
        await polling.round()
    assert heard.rounds == [("HTTP 502: not by a forwarder", True)]
    await polling.round()
    failure, _ = heard.rounds[1]
    assert failure is not None


async def test_it_need_not_wait_for_its_time() -> None:
    session = ViewerSession(since=SINCE)
    async with told_server(stay, library=Library([])) as server:
        polling, heard = polling_of(server.url, session)
        task = asyncio.create_task(polling.run())
        await asyncio.sleep(0)
        assert heard.rounds == []
        polling.poll_now()
        await eventually(lambda: heard.rounds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
