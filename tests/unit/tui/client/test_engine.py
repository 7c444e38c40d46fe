"""tests.unit.tui.client.test_engine."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from common.errors import EXIT_INCOMPLETE
from tests.support.network.kept_port import kept_port
from tests.support.viewer.http_journal import HttpJournal
from tests.support.viewer.scripted_forwarder import (
    Script,
    ScriptedConnection,
    eventually,
    scripted_forwarder,
    stay_connected,
)
from tests.support.viewer.server_messages import (
    SINCE,
    ForwarderMessages,
    connect,
    deliver,
    item,
    live_session,
)
from tui.client.engine import Engine, Goal, ViewerResult, goal_result
from tui.client.saved import load_cursor
from tui.client.session import ViewerSession
from tui.client.target import TargetSpec
from tui.lines.rows import Change, Line, Rule
from tui.output.record import write_record
from wire.limits import END_GAP_MS
from wire.messages import ExecutionStatus, GapState, Lost, ServerMessage
from wire.query import Filter

DONE = f"{SINCE}:0.."
INCONSISTENT = "CloudWatch Logs answered inconsistently: event id 2 came with another timestamp"
UNREAD = "CloudWatch Logs could not be read: timeout"


class BugError(Exception):
    """Stands for a programming error."""


def says(*messages: ServerMessage) -> Script:
    async def script(connection: ScriptedConnection) -> None:
        await connection.send(*messages)
        await stay_connected(connection)

    return script


@asynccontextmanager
async def started(engine: Engine) -> AsyncIterator[Engine]:
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


def engine_of(*urls: str, goal: Goal | None = None, cursors: Path | None = None) -> Engine:
    specs = [TargetSpec(url=url, since=SINCE) for url in urls]
    return Engine(specs, goal=goal, rng=random.Random(0), cursors=cursors)


def messages(engine: Engine) -> list[str]:
    return [row.message for row in engine.timeline.iterate() if isinstance(row, Line)]


async def test_two_targets_are_merged_in_display_order() -> None:
    one, other = ForwarderMessages(), ForwarderMessages()
    first = says(
        one.welcome(),
        one.backfill(DONE, done=True),
        one.events(0, [item(1, 2_000, message="a"), item(2, 2_002, message="c")]),
        one.mark(SINCE, 3_000, 2),
    )
    second = says(
        other.welcome(epoch="x1"),
        other.backfill(DONE, done=True),
        other.events(0, [item(1, 2_000, message="b"), item(2, 2_003, message="d")]),
        other.mark(SINCE, 2_500, 2),
    )
    async with (
        scripted_forwarder(first) as left,
        scripted_forwarder(second) as right,
        started(engine_of(left.url, right.url)) as engine,
    ):
        changes: list[Change] = []
        engine.on_change(changes.append)
        await eventually(lambda: messages(engine) == ["a", "b", "c", "d"])
        await eventually(lambda: engine.status.complete_through_ms == 2_500)
        assert engine.complete_through == 2_500
        assert engine.is_backfilled
        await eventually(lambda: engine.groups == ["/group", "/group"])  # asked for in a thread
        assert sum(change.added for change in changes) <= 4
        status = engine.status
        assert (status.lines, status.events, status.state) == (4, 4, "live")
        assert len(engine.marks) == 2


async def test_callbacks_get_each_line_once_though_it_comes_twice() -> None:
    first, second = ForwarderMessages(), ForwarderMessages()

    async def cut(connection: ScriptedConnection) -> None:
        await connection.send(first.welcome(after=2), first.history(2, [item(2, 2_002)]))
        connection.websocket.transport.abort()

    again = says(
        second.welcome("rebased", epoch="e9", after=7),
        second.history(7, [item(5, 2_002, 2), item(6, 2_003, 9)]),
        second.backfill(DONE, done=True),
    )
    async with scripted_forwarder(cut, again) as server:
        engine = engine_of(server.url)
        lines: list[Line] = []
        rules: list[Rule] = []
        engine.on_lines(lines.extend)
        engine.on_rules(rules.extend)
        async with started(engine):
            await eventually(lambda: len(lines) == 2)
            await eventually(lambda: engine.is_backfilled)
            engine.merge()
            rows = [row for row in engine.timeline.iterate() if isinstance(row, Line)]
            assert [row.seq for row in rows] == [5, 6]
            assert all(engine.timeline.is_confirmed(row) for row in rows)
            assert {rule.kind for rule in rules} == {"offline", "rebased"}
            (outage,) = engine.status.targets[0].outages
            assert outage.outcome == "rebased"


async def test_the_record_distinguishes_marks_of_another_journal(tmp_path: Path) -> None:
    first, second, line = ForwarderMessages(), ForwarderMessages(), item(9, 2_000, 1)

    async def cut(connection: ScriptedConnection) -> None:
        await connection.send(first.welcome(), first.backfill(DONE, done=True))
        await connection.send(first.events(0, [line]), first.mark(SINCE, 3_000, 9))
        connection.websocket.transport.abort()

    again = says(
        second.welcome("rebased", epoch="e9", after=7),
        second.history(7, [item(5, 2_000, 1)]),
        second.backfill(DONE, done=True),
        second.mark(SINCE, 3_000, 7),
    )
    async with scripted_forwarder(cut, again) as server, started(engine_of(server.url)) as engine:
        await eventually(lambda: len(engine.marks) == 2)
        write_record(tmp_path / "record", engine)
    rows = [json.loads(line) for line in (tmp_path / "record").read_bytes().splitlines()]
    marks = [(row["seq"], row["confirmed"]) for row in rows if row["type"] == "mark"]
    events = [(row["seq"], row["confirmed"]) for row in rows if row["type"] == "event"]
    assert (marks, events) == ([(9, False), (7, True)], [(5, True)])


async def test_lines_that_a_repair_does_not_bring_are_shown_unconfirmed() -> None:
    forwarder, good = ForwarderMessages(), item(1, 2_000)

    async def repairing(connection: ScriptedConnection) -> None:
        await connection.send(forwarder.welcome(), forwarder.backfill(DONE, done=True))
        await connection.send(forwarder.events(0, [good, item(2, 2_001)]))
        await connection.send(forwarder.mark(SINCE, 3_000, 2, owned=[good]))
        await connection.receive()
        await connection.send(
            forwarder.history(2, [good]), forwarder.digest(SINCE, 3_000, 2, owned=[good])
        )
        await stay_connected(connection)

    async with scripted_forwarder(repairing) as server, started(engine_of(server.url)) as engine:
        await eventually(lambda: engine.complete_through == 3_000)
        engine.merge()
        rows = [row for row in engine.timeline.iterate() if isinstance(row, Line)]
        assert [engine.timeline.is_confirmed(row) for row in rows] == [True, False]
        assert engine.status.unconfirmed == 1


async def test_without_a_websocket_polling_brings_the_lines() -> None:
    http_journal = HttpJournal([item(1, 2_000), item(2, 2_001)])
    http_journal.complete_through = 3_000
    async with scripted_forwarder(stay_connected, http_journal=http_journal) as server:
        server.refusal = (502, b"no")
        goal = Goal(through_ms=3_000)
        async with started(engine_of(server.url, goal=goal)) as engine:
            await engine.finished.wait()
            assert engine.result == ViewerResult(0)
            await eventually(lambda: engine.status.state == "polling")
            await eventually(lambda: engine.status.lines == 2)


async def test_a_comparison_over_http_is_repaired_over_the_websocket() -> None:
    missed = item(1, 2_000)
    http_journal = HttpJournal([missed])
    forwarder = ForwarderMessages()

    async def forgetful(connection: ScriptedConnection) -> None:
        await connection.send(forwarder.welcome(), forwarder.backfill(DONE, done=True))
        await connection.send(forwarder.events(0, [], seq=1))
        await connection.receive()
        forwarder.owned = [missed]
        await connection.send(forwarder.history(1, [missed]), forwarder.digest(SINCE, 1 << 50, 1))
        await stay_connected(connection)

    async with (
        scripted_forwarder(forgetful, http_journal=http_journal) as server,
        started(engine_of(server.url)) as engine,
    ):
        await eventually(lambda: engine.sessions[0].after == 1)
        engine._targets[0].polling.poll_now()
        await eventually(lambda: messages(engine) == ["line 1"])


async def test_the_result_is_that_of_the_execution() -> None:
    forwarder = ForwarderMessages()
    ended = says(
        forwarder.welcome(),
        forwarder.backfill(DONE, done=True),
        forwarder.events(0, [item(1, 2_000)]),
        forwarder.end(SINCE, 2_000, 1, status="FAILED"),
    )
    async with scripted_forwarder(ended) as server:
        goal = Goal(executions=("one",))
        async with started(engine_of(server.url, goal=goal)) as engine:
            await engine.finished.wait()
            assert engine.result == ViewerResult(5)
            assert engine.status.state == "ended"


async def test_the_result_is_a_refusal_with_its_reason() -> None:
    async with scripted_forwarder(stay_connected) as server:
        server.refusal = (404, b'{"error":"log group x is not served here"}')
        async with started(engine_of(server.url)) as engine:
            await engine.finished.wait()
            outcome = engine.result
            assert outcome is not None
            assert outcome.code == 3
            assert "log group x is not served here" in outcome.reason
            assert server.url in outcome.reason
            assert engine.status.state == "failed"


async def test_the_result_is_a_forwarder_that_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tui.client.engine.CONNECT_TIMEOUT_MS", 0)
    with kept_port() as port:
        url = f"ws://127.0.0.1:{port}"
        async with started(engine_of(url)) as engine:
            await engine.finished.wait()
            assert engine.result == ViewerResult(
                3,
                f"cannot connect to {url}: connection refused: is a forwarder running there?",
            )


async def test_one_that_does_not_give_up_goes_on_trying(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.client.engine.CONNECT_TIMEOUT_MS", -1)
    with kept_port() as port:
        specs = [TargetSpec(url=f"ws://127.0.0.1:{port}", since=SINCE)]
        engine = Engine(specs, rng=random.Random(0), gives_up=False)
        async with started(engine):
            await eventually(lambda: engine.status.targets[0].attempt > 2)
            engine._check_goal()
            assert engine.result is None
            assert engine.status.targets[0].detail == "connection refused"


async def test_a_first_attempt_is_not_given_up_while_it_lasts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tui.client.engine.CONNECT_TIMEOUT_MS", -1)
    asked, ended = asyncio.Event(), asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()
        ended.set()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    engine = Engine([TargetSpec(url=url, group="/group", since=SINCE)], rng=random.Random(0))
    async with started(engine):
        await asked.wait()
        engine._check_goal()
        assert engine.result is None
    await ended.wait()
    server.close()
    await server.wait_closed()


async def test_a_first_connection_that_is_cut_before_welcome_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut = asyncio.Event()

    async def hang_up(connection: ScriptedConnection) -> None:
        monkeypatch.setattr("tui.client.engine.CONNECT_TIMEOUT_MS", 0)
        cut.set()
        await connection.websocket.close()

    forwarder = ForwarderMessages()
    scripts = [hang_up] * 4 + [says(forwarder.welcome(), forwarder.backfill(DONE, done=True))]
    async with scripted_forwarder(*scripts) as server, started(engine_of(server.url)) as engine:
        await cut.wait()
        await eventually(lambda: engine.sessions[0].is_backfilled or engine.finished.is_set())
        assert engine.result is None


async def test_an_internal_error_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_self: object) -> None:
        raise BugError

    monkeypatch.setattr("tui.client.connection.ForwarderConnection.run", broken)
    engine = engine_of("ws://127.0.0.1:1")
    await engine.start()
    await engine.finished.wait()
    assert engine.result is not None
    assert engine.result.code == 1
    with pytest.raises(BugError):
        await engine.stop()


async def test_reconnect_now_replaces_an_open_connection() -> None:
    first, second = ForwarderMessages(), ForwarderMessages()
    opening = says(first.welcome(), first.backfill(DONE, done=True))
    async with (
        scripted_forwarder(opening, says(second.welcome("resumed"))) as server,
        started(engine_of(server.url)) as engine,
    ):
        await eventually(lambda: engine.is_backfilled)
        engine.reconnect_now()
        await eventually(lambda: len(server.queries) == 2)


async def test_cursors_are_saved_for_the_next_run(tmp_path: Path) -> None:
    forwarder = ForwarderMessages()
    opening = says(
        forwarder.welcome(),
        forwarder.backfill(DONE, done=True),
        forwarder.events(0, [item(1, 2_000)]),
    )
    async with scripted_forwarder(opening) as server:
        async with started(engine_of(server.url, cursors=tmp_path)) as engine:
            await eventually(lambda: engine.sessions[0].after == 1)
        saved = load_cursor(tmp_path, server.url, None, Filter(), SINCE)
        assert saved is not None
        assert saved.cursor.after == 1
        spec = TargetSpec(url=server.url, since=SINCE, cursor=saved.cursor)
        server.scripts = [says(ForwarderMessages().welcome("resumed", after=1))]
        async with started(Engine([spec])) as engine:
            await eventually(lambda: engine.status.events == 0 and server.queries[1:])
            assert server.queries[1].base == 1


async def test_cursors_that_cannot_be_saved_do_not_stop_the_lines(tmp_path: Path) -> None:
    forwarder = ForwarderMessages()
    opening = says(forwarder.welcome(), forwarder.backfill(DONE, done=True))
    async with (
        scripted_forwarder(opening) as server,
        started(engine_of(server.url, cursors=tmp_path / "missing")) as engine,
    ):
        await eventually(lambda: engine.is_backfilled)


def test_more_targets_than_keys_can_number_are_refused() -> None:
    with pytest.raises(ValueError, match="256 targets"):
        Engine([TargetSpec(url="ws://h")] * 256)


async def test_the_record_is_what_is_displayed(tmp_path: Path) -> None:
    forwarder, late = ForwarderMessages(), item(3, 2_001, message="late \ud800")
    opening = says(
        forwarder.welcome(lost=[Lost(5_000, 5_001, "retention")]),
        forwarder.backfill(DONE, done=True),
        forwarder.events(0, [item(1, 2_000, message="a"), item(2, 2_002, message="c")]),
        forwarder.mark(SINCE, 3_000, 2),
        forwarder.events(2, [late]),
        forwarder.gap(4_000, 4_001, "repairing"),
        forwarder.mark(SINCE, 3_000, 3, owned=[]),
    )
    path = tmp_path / "record"
    async with scripted_forwarder(opening) as server, started(engine_of(server.url)) as engine:
        await eventually(lambda: len(engine.marks) == 2)
        await eventually(lambda: engine.groups == ["/group"])  # asked for in a thread
        write_record(path, engine)
        write_record(path, engine)
    every = [json.loads(line) for line in path.read_bytes().splitlines()]
    course = ("connection", "outage", "state", "second", "verified", "upstream", "rule")
    rows = [row for row in every if row["type"] not in course]
    assert [row["type"] for row in rows] == [
        "record", "event", "event", "event", "mark", "mark", "gap", "gap", "lost", "status",
    ]  # fmt: skip
    states = [row["state"] for row in every if row["type"] == "state"]
    assert states[-1] == "live"
    assert sum(row["lines"] for row in every if row["type"] == "second") == 3
    assert [row["through"] for row in every if row["type"] == "verified"][-2:] == [3_000, None]
    rules = [(row["kind"], row["state"]) for row in every if row["type"] == "rule"]
    assert ("gap", "repairing") in rules
    assert [kind for kind, _ in rules if kind == "lost"] == ["lost"]
    header, status = rows[0], rows[-1]
    assert header["version"] == 1
    assert all(header["began"] <= row["arrived"] <= status["ended"] for row in rows[1:4])
    assert header["targets"] == [
        {
            "name": "/group",
            "url": server.url,
            "group": "/group",
            "since": SINCE,
            "filter": {"streams": [], "executions": [], "prefixes": [], "pattern": ""},
        }
    ]
    assert [row["message"] for row in rows[1:4]] == ["a", "late \ud800", "c"]
    assert [row["late"] for row in rows[1:4]] == [False, True, False]
    assert rows[1]["log_group"] == "/group"
    assert [row["equal"] for row in rows[4:6]] == [True, False]
    assert [row["state"] for row in rows[6:8]] == ["repairing", "unproved"]
    assert (status["lines"], status["complete_through"]) == (3, None)
    assert list(tmp_path.iterdir()) == [path]  # noqa: ASYNC240 - a test may block


async def test_a_record_that_cannot_be_written_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        write_record(tmp_path / "missing" / "record", engine_of("ws://h"))
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - a test may block


async def test_receiving_pauses_until_resume() -> None:
    engine = engine_of("ws://h")
    engine.pause()
    waiting = asyncio.create_task(engine.wait_until_ready())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    engine.resume()
    await waiting


UNTIL = Goal(through_ms=3_000)


def test_an_empty_goal_is_never_reached() -> None:
    session, forwarder = live_session()
    deliver(session, forwarder.mark(SINCE, 9_000, 0))
    assert goal_result(Goal(), [session]) is None


def test_reached_once_every_target_is_verified_through_the_time() -> None:
    one, forwarder = live_session()
    other, told_other = live_session()
    deliver(one, forwarder.mark(SINCE, 3_000, 0))
    assert goal_result(UNTIL, [one, other]) is None
    deliver(other, told_other.mark(SINCE, 2_999, 0))
    assert goal_result(UNTIL, [one, other]) is None
    deliver(other, told_other.mark(2_000, 3_000, 0))
    assert goal_result(UNTIL, [one, other]) == ViewerResult(0)


def test_not_reached_before_the_history_is_here() -> None:
    session, forwarder = ViewerSession(since=SINCE), ForwarderMessages()
    assert goal_result(UNTIL, [ViewerSession()]) is None
    connect(session, forwarder.welcome())
    deliver(session, forwarder.mark(SINCE, 9_000, 0))
    assert goal_result(UNTIL, [session]) is None


def test_a_time_before_since_is_reached_with_the_history() -> None:
    session, _ = live_session()
    assert goal_result(Goal(through_ms=SINCE - 1), [session]) == ViewerResult(0)


def test_incomplete_names_the_range() -> None:
    session, forwarder = ViewerSession(since=SINCE), ForwarderMessages()
    connect(
        session, forwarder.welcome(lost=[Lost(500, 1_500, "retention"), Lost(8_000, 9_000, "x")])
    )
    deliver(session, forwarder.backfill(f"{SINCE}:0..", done=True), forwarder.mark(SINCE, 3_000, 0))
    outcome = goal_result(UNTIL, [session])
    assert outcome == ViewerResult(
        EXIT_INCOMPLETE,
        "not complete: 1970-01-01T00:00:01.000Z..1970-01-01T00:00:01.500Z",
    )


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        (["SUCCEEDED"], 0),
        (["FAILED"], 5),
        (["STOPPED"], 6),
        (["UNKNOWN"], 0),
        (["SUCCEEDED", "STOPPED"], 6),
        (["STOPPED", "FAILED"], 5),
    ],
)
def test_an_execution_ends_with_its_status(statuses: list[ExecutionStatus], code: int) -> None:
    session, forwarder = live_session()
    goal = Goal(executions=tuple(str(number) for number in range(len(statuses))))
    for number, status in enumerate(statuses):
        assert goal_result(goal, [session]) is None
        deliver(session, forwarder.end(SINCE, 2_000, 0, execution=str(number), status=status))
    assert goal_result(goal, [session]) == ViewerResult(code)


def test_an_end_counts_once_it_is_equal_or_given_up() -> None:
    session, forwarder = live_session()
    bad = [item(1, 1_500)]
    deliver(session, forwarder.events(0, [], seq=1))
    goal = Goal(executions=("one",))
    deliver(session, forwarder.end(SINCE, 2_000, 1, owned=bad))
    assert goal_result(goal, [session]) is None
    deliver(session, forwarder.digest(SINCE, 2_000, 1, owned=bad))
    assert goal_result(goal, [session]) is None, "it is sent again first"
    deliver(session, forwarder.digest(SINCE, 2_000, 1, owned=bad))
    outcome = goal_result(goal, [session])
    assert outcome is not None
    assert outcome.code == EXIT_INCOMPLETE
    assert "execution one" in outcome.reason


@pytest.mark.parametrize(
    ("from_", "through", "state", "reason", "code"),
    [
        (1_500, 1_500, "suspected", INCONSISTENT, EXIT_INCOMPLETE),
        (1_500, 1_500, "repairing", UNREAD, EXIT_INCOMPLETE),
        (1_500, 1_500, "unrecoverable", "retention", EXIT_INCOMPLETE),
        (1_500, 1_500, "unrecoverable", "altered: masked", 0),
        (1_500, 1_500, "repaired", INCONSISTENT, 0),
        (2_001, 2_100, "suspected", INCONSISTENT, EXIT_INCOMPLETE),
        (2_001, 2_100, "suspected", UNREAD, 0),
        (2_001, 2_100, "unrecoverable", "retention", 0),
        (2_001 + END_GAP_MS, 2_100 + END_GAP_MS, "suspected", INCONSISTENT, 0),
    ],
)
def test_an_equal_end_is_incomplete_while_a_gap_of_its_range_is_not_repaired(
    from_: int, through: int, state: GapState, reason: str, code: int
) -> None:
    session, forwarder = live_session()
    deliver(session, replace(forwarder.gap(from_, through, state), reason=reason))
    deliver(session, forwarder.end(SINCE, 2_000, 0))
    outcome = goal_result(Goal(executions=("one",)), [session])
    assert outcome is not None
    assert outcome.code == code
    assert not code or (reason in outcome.reason and "execution one" in outcome.reason)


def test_a_gap_that_was_repaired_or_came_after_the_end_leaves_it_complete() -> None:
    session, forwarder = live_session()
    goal = Goal(executions=("one",))
    deliver(session, forwarder.gap(1_500, 1_500, "suspected"))
    deliver(session, forwarder.end(SINCE, 2_000, 0))
    deliver(session, forwarder.gap(1_500, 1_500, "repaired"))
    assert goal_result(goal, [session]) == ViewerResult(0)
    deliver(session, forwarder.end(SINCE, 2_000, 0))
    deliver(session, forwarder.gap(1_500, 1_500, "suspected"))
    assert goal_result(goal, [session]) == ViewerResult(0)


def test_the_goal_that_is_reached_first_counts() -> None:
    session, forwarder = live_session()
    deliver(session, forwarder.mark(SINCE, 3_000, 0))
    assert goal_result(Goal(through_ms=3_000, executions=("one",)), [session]) == ViewerResult(0)
