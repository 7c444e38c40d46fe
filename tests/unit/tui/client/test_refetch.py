"""Evicted lines and those of an earlier run are fetched from the forwarder."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.support.viewer.http_journal import HttpJournal
from tests.support.viewer.scripted_forwarder import (
    Script,
    ScriptedConnection,
    eventually,
    scripted_forwarder,
    stay_connected,
)
from tests.support.viewer.server_messages import SINCE, ForwarderMessages, item
from tui.client.engine import Engine
from tui.client.saved import Cursor, PreviousRun
from tui.client.target import TargetSpec
from tui.lines.rows import Line, Row, Rule, describe
from wire.messages import Item, ServerMessage
from wire.order import Interval, first_key

DONE = f"{SINCE}:0.."
ITEMS = [item(number, 2_000 + number) for number in range(1, 201)]
NEWEST_MS = ITEMS[-1].timestamp


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.lines.blocks.CHUNK_ROWS", 10)
    monkeypatch.setattr("tui.lines.timeline.RANGE_LINES", 20)
    monkeypatch.setattr("tui.lines.timeline.NEAR_BLOCKS", 1)
    monkeypatch.setattr("tui.client.refetch.NEAR_ROWS", 5)
    monkeypatch.setattr("tui.client.refetch.RETRY_MS", 0)


def says(*messages: ServerMessage) -> Script:
    async def script(connection: ScriptedConnection) -> None:
        await connection.send(*messages)
        await stay_connected(connection)

    return script


def whole(forwarder: ForwarderMessages, items: list[Item]) -> Script:
    """All events at once, and an equal mark."""
    return says(
        forwarder.welcome(),
        forwarder.backfill(DONE, done=True),
        forwarder.events(0, items),
        forwarder.mark(SINCE, NEWEST_MS, items[-1].seq),
    )


@asynccontextmanager
async def started(spec: TargetSpec, capacity: int = 50) -> AsyncIterator[Engine]:
    engine = Engine([spec], rng=random.Random(0), capacity=capacity)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


def lines(engine: Engine) -> list[Line]:
    return [row for row in engine.timeline.iterate() if isinstance(row, Line)]


def rules(engine: Engine) -> list[Rule]:
    return [row for row in engine.timeline.iterate() if isinstance(row, Rule)]


def top(engine: Engine, height: int = 8) -> list[Row]:
    return engine.timeline.rows(0, height)


def pages_up(engine: Engine) -> Iterator[None]:
    """Scroll to the top until every line has been in memory."""
    while engine.timeline.evicted_through_ms is not None and (
        engine.timeline.evicted_ranges[0][0] <= lines(engine)[0].timestamp
    ):
        rows = top(engine)
        engine.refetcher.fetch_visible(rows, rows[0].key, is_filtered=False)
        yield


async def test_scrolling_up_brings_every_line_back_and_t_stays() -> None:
    http_journal = HttpJournal(list(ITEMS), page=50)
    forwarder = ForwarderMessages()
    async with (
        scripted_forwarder(whole(forwarder, ITEMS), http_journal=http_journal) as server,
        started(TargetSpec(url=server.url, since=SINCE)) as engine,
    ):
        await eventually(lambda: engine.complete_through == NEWEST_MS)
        engine.merge()
        assert (engine.timeline.lines, engine.timeline.evicted) == (50, 150)
        found: set[str] = set()
        async with asyncio.timeout(240):
            for _ in pages_up(engine):
                await asyncio.sleep(0.001)
                found |= {line.message for line in lines(engine)}
                total = engine.timeline.lines + engine.timeline.evicted
                assert total == len(ITEMS)
        assert found == {one.message for one in ITEMS}
        assert lines(engine)[0].message == "line 1"
        assert engine.timeline.lines <= 50 + 2 * 20 + 3 * 10
        assert engine.complete_through == NEWEST_MS
        assert engine.status.missing == 0


async def test_visible_lines_never_move_and_new_ones_are_added() -> None:
    asked = asyncio.Event()
    http_journal = HttpJournal(list(ITEMS), page=50)
    forwarder = ForwarderMessages()
    late = item(201, 2_140, 9_999)
    new = item(202, 5_000)

    async def script(connection: ScriptedConnection) -> None:
        await whole_at_first(connection)
        await asked.wait()
        await connection.send(forwarder.events(200, [late, new]))
        await stay_connected(connection)

    async def whole_at_first(connection: ScriptedConnection) -> None:
        await connection.send(
            forwarder.welcome(), forwarder.backfill(DONE, done=True), forwarder.events(0, ITEMS)
        )

    async with (
        scripted_forwarder(script, http_journal=http_journal) as server,
        started(TargetSpec(url=server.url, since=SINCE)) as engine,
    ):
        await eventually(lambda: engine.status.lines == 50)
        engine.merge()
        rows = top(engine)
        http_journal.before = lambda _target: asked.set()
        engine.refetcher.fetch_visible(rows, rows[0].key, is_filtered=False)
        await eventually(lambda: engine.status.events == 202)
        await eventually(lambda: "line 9999" in [line.message for line in lines(engine)])
        engine.merge()
        assert [engine.timeline.find(row.key) for row in rows[1:]] == rows[1:]
        shown = [line.message for line in lines(engine)]
        assert "line 9999" in shown
        assert shown[-1] == "line 202"
        assert engine.timeline.lines + engine.timeline.evicted == 202


async def test_a_failed_fetch_shows_its_reason_and_is_retried() -> None:
    forwarder = ForwarderMessages()
    async with (
        scripted_forwarder(whole(forwarder, ITEMS)) as server,  # its HTTP answers 502
        started(TargetSpec(url=server.url, since=SINCE)) as engine,
    ):
        await eventually(lambda: engine.status.lines == 50)
        engine.merge()
        for _ in range(2):
            engine.refetcher.fetch_visible(top(engine), top(engine)[0].key, is_filtered=False)
            assert describe(rules(engine)[0]) == "fetching 150 lines…"
            await eventually(lambda: rules(engine)[0].state == "failed")
            assert describe(rules(engine)[0]).startswith("150 lines not in memory: ")


async def test_lines_that_the_forwarder_lost_are_declared() -> None:
    http_journal = HttpJournal([one for one in ITEMS if one.seq % 2], page=50)
    forwarder = ForwarderMessages()
    async with (
        scripted_forwarder(whole(forwarder, ITEMS), http_journal=http_journal) as server,
        started(TargetSpec(url=server.url, since=SINCE)) as engine,
    ):
        await eventually(lambda: engine.status.lines == 50)
        engine.merge()
        engine.refetcher.fetch_visible(top(engine), top(engine)[0].key, is_filtered=False)
        await eventually(lambda: engine.timeline.lines > 50)
        (lost,) = [rule for rule in rules(engine) if rule.kind == "lost"]
        assert describe(lost) == (
            "not recoverable: 5 lines evicted from memory are no longer available"
        )


async def test_nothing_is_fetched_while_following_or_filtering() -> None:
    http_journal = HttpJournal(list(ITEMS))
    forwarder = ForwarderMessages()
    async with (
        scripted_forwarder(whole(forwarder, ITEMS), http_journal=http_journal) as server,
        started(TargetSpec(url=server.url, since=SINCE)) as engine,
    ):
        await eventually(lambda: engine.status.lines == 50)
        engine.merge()
        rows = top(engine)
        before = len(http_journal.asked)
        engine.refetcher.fetch_visible([], None, is_filtered=False)
        engine.refetcher.fetch_visible(rows, None, is_filtered=False)
        engine.refetcher.fetch_visible(rows, rows[3].key, is_filtered=True)
        assert not any(rule.state for rule in rules(engine))
        engine.refetcher.fetch_visible(rows, rows[0].key, is_filtered=True)
        await eventually(lambda: len(http_journal.asked) > before)
        brought: list[str] = []
        await eventually(lambda: not any(rule.state for rule in rules(engine)))
        engine.refetcher.fetch_at(first_key(2_005) << 8, lambda: brought.append("there"))
        await eventually(lambda: brought)
        assert "line 5" in [line.message for line in lines(engine)]


SEEN = PreviousRun(left_ms=9_000, newest_ms=2_150, context_ms=2_101, older=100)


def going_on(url: str) -> TargetSpec:
    cursor = Cursor("e1", 150, Interval(first_key(SINCE), None))
    return TargetSpec(url=url, since=SINCE, cursor=cursor, previous=SEEN)


async def test_resuming_shows_the_lines_before_and_the_number_since() -> None:
    http_journal = HttpJournal(list(ITEMS), page=50)
    forwarder = ForwarderMessages(ITEMS[150:])
    script = says(
        forwarder.welcome("resumed", after=150, head_seq=200),
        forwarder.events(150, ITEMS[150:]),
        forwarder.mark(SINCE, NEWEST_MS, 200),
    )
    async with (
        scripted_forwarder(script, http_journal=http_journal) as server,
        started(going_on(server.url), capacity=1_000) as engine,
    ):
        await eventually(lambda: engine.complete_through == NEWEST_MS)
        await eventually(lambda: engine.timeline.lines == 100)
        assert server.queries[0].base == 150
        engine.merge()
        assert [line.message for line in lines(engine)] == [one.message for one in ITEMS[100:]]
        older, since = rules(engine)
        assert (older.kind, since.kind) == ("evicted", "resumed")
        assert describe(since) == "50 lines since you left"
        assert (since.from_ms, engine.timeline.index_of(since.key)) == (9_000, 51)
        engine.refetcher.fetch_visible(top(engine), top(engine)[0].key, is_filtered=False)
        await eventually(lambda: engine.timeline.lines == 200)
        assert [line.message for line in lines(engine)] == [one.message for one in ITEMS]
        assert [rule.kind for rule in rules(engine)] == ["resumed"]
        assert engine.complete_through == NEWEST_MS
        (saved,) = engine.saved
        assert saved.previous is not None
        assert (saved.previous.newest_ms, saved.previous.older) == (NEWEST_MS, 100)


async def test_refetched_lines_are_not_counted_again_for_the_next_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tui.client.target.CONTEXT_LINES", 20)
    http_journal, forwarder = HttpJournal(list(ITEMS), page=50), ForwarderMessages(ITEMS[150:])
    script = says(
        forwarder.welcome("resumed", after=150, head_seq=200), forwarder.events(150, ITEMS[150:])
    )
    async with (
        scripted_forwarder(script, http_journal=http_journal) as server,
        started(going_on(server.url), capacity=1_000) as engine,
    ):
        await eventually(lambda: engine.timeline.lines == 100)
        engine.refetcher.fetch_visible(top(engine), top(engine)[0].key, is_filtered=False)
        await eventually(lambda: engine.timeline.lines == 200)
        (saved,) = engine.saved
        assert saved.previous is not None
        assert saved.previous.older == 100 + 50 - 1


async def test_new_lines_are_counted_once_for_the_next_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tui.client.target.CONTEXT_LINES", 20)
    refused = says(ForwarderMessages().welcome("rebased", epoch="e9", head_seq=200))
    async with (
        scripted_forwarder(refused, whole(ForwarderMessages(), ITEMS)) as server,
        started(going_on(server.url), capacity=1_000) as engine,
    ):
        await eventually(lambda: engine.complete_through == NEWEST_MS)
        (saved,) = engine.saved
        assert saved.previous is not None
        assert saved.previous.older == 200 - 1 - 20


async def test_after_a_rebase_nothing_counts_as_evicted() -> None:
    forwarder = ForwarderMessages()
    refused = says(forwarder.welcome("rebased", epoch="e9", head_seq=200))
    async with (
        scripted_forwarder(refused, whole(ForwarderMessages(), ITEMS)) as server,
        started(going_on(server.url), capacity=1_000) as engine,
    ):
        await eventually(lambda: engine.complete_through == NEWEST_MS)
        engine.merge()
        assert [line.message for line in lines(engine)] == [one.message for one in ITEMS]
        assert engine.timeline.evicted == 0
        assert [rule.kind for rule in rules(engine)] == []
