from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from common.concurrency import in_thread
from tests.support.fake_engine import FakeEngine, make_line, target_status
from tests.support.viewer.blocking_calls import BlockingCalls
from tests.support.viewer.scripted_forwarder import (
    Script,
    ScriptedConnection,
    eventually,
    scripted_forwarder,
    stay_connected,
)
from tests.support.viewer.server_messages import SINCE, ForwarderMessages, item
from tui.client.engine import Engine, Goal
from tui.client.target import TargetSpec
from tui.lines.filters import OutputFilter, output_filter
from tui.lines.rows import Line
from tui.output.consumer import ConsumedTarget, Consumer, OutputQuery
from tui.output.formats import OutputStyle, format_context_line
from tui.output.ordering import PrintedLine
from tui.output.plain import Plain, PlainOptions
from wire.messages import Lost, ServerMessage
from wire.order import key_of
from wire.query import Filter

DONE = f"{SINCE}:0.."


class Printing:
    """Plain output into a pipe, read as it comes."""

    def __init__(
        self, url: str, options: PlainOptions, goal: Goal | None, consumer: Consumer | None
    ) -> None:
        self.reading, writing = os.pipe()
        self.writing = writing
        self.calls = BlockingCalls()
        self.said: list[str] = []
        self.data = b""
        self.engine = Engine(
            [TargetSpec(url=url, since=SINCE, history="oldest")],
            goal=goal,
            rng=random.Random(0),
            wall_ms=lambda: 100_000,
        )
        plain = Plain(self.engine, options, out=writing, say=self.said.append, consumer=consumer)
        self.task = asyncio.create_task(plain.run())
        os.set_blocking(self.reading, False)

    @property
    def lines(self) -> list[str]:
        try:
            while chunk := os.read(self.reading, 1 << 16):
                self.data += chunk
        except BlockingIOError:
            pass
        return self.data.decode().splitlines()

    @property
    def messages(self) -> list[str]:
        return [json.loads(line)["message"] for line in self.lines]


def consumer_of(folder: Path) -> Consumer:
    target = ConsumedTarget(identity="x", group=None, name="x", query=OutputQuery(Filter()))
    return Consumer(folder, "archive", "json", [target], lambda _text: None)


def printed_keys(folder: Path) -> list[int]:
    """Which of the four lines count as printed, by number."""
    with TemporaryDirectory() as copies:  # the consumer's own files are locked
        for path in folder.glob("*.json"):
            shutil.copy(path, copies)
        (known,) = consumer_of(Path(copies)).progress
    lines = [(1, 2_003), (2, 2_001), (3, 2_002), (4, 9_000)]
    keys = [(number, key_of(time, item(number, time).id)) for number, time in lines]
    return [] if known is None else [number for number, key in keys if known.has(key, number)]


@asynccontextmanager
async def printing(
    *scripts: Script,
    goal: Goal | None = None,
    cursors: Path | None = None,
    **options: Any,  # noqa: ANN401 - as PlainOptions
) -> AsyncIterator[Printing]:
    async with scripted_forwarder(*scripts) as server:
        consumer = None if cursors is None else consumer_of(cursors)
        one = Printing(
            server.url, PlainOptions(**{"style": OutputStyle("json"), **options}), goal, consumer
        )
        try:
            yield one
        finally:
            one.task.cancel()
            await asyncio.gather(one.task, return_exceptions=True)
            os.close(one.reading)
            await one.calls.wait_end()
            os.close(one.writing)
            if consumer is not None:
                consumer.close()


def says(*messages: ServerMessage) -> Script:
    async def script(connection: ScriptedConnection) -> None:
        await connection.send(*messages)
        await stay_connected(connection)

    return script


def four(forwarder: ForwarderMessages) -> list[ServerMessage]:
    """Four lines out of order, the last one not verified."""
    return [
        forwarder.welcome(),
        forwarder.backfill(DONE, done=True),
        forwarder.events(0, [item(1, 2_003), item(2, 2_001), item(3, 2_002), item(4, 9_000)]),
        forwarder.mark(SINCE, 5_000, 4),
    ]


def more_than_a_pipe_holds(forwarder: ForwarderMessages) -> list[ServerMessage]:
    large = [item(n, 2_000, message="x" * 1_000) for n in range(1, 400)]
    return [
        forwarder.welcome(),
        forwarder.backfill(DONE, done=True),
        forwarder.events(0, large),
        forwarder.mark(SINCE, 5_000, 399),
    ]


async def test_strict_order_prints_verified_lines() -> None:
    async with printing(says(*four(ForwarderMessages())), hold_ms=1 << 40) as one:
        await eventually(lambda: one.messages == ["line 2", "line 3", "line 1"])
        assert not one.task.done()


async def test_the_hold_prints_the_rest() -> None:
    async with printing(says(*four(ForwarderMessages())), hold_ms=0) as one:
        await eventually(lambda: one.messages == ["line 2", "line 3", "line 1", "line 4"])


async def test_arrival_order_prints_at_once() -> None:
    async with printing(says(*four(ForwarderMessages())[:3]), order="arrival") as one:
        await eventually(lambda: one.messages == [f"line {n}" for n in (1, 2, 3, 4)])


async def test_a_late_event_is_marked() -> None:
    forwarder, go = ForwarderMessages(), asyncio.Event()

    async def talking(connection: ScriptedConnection) -> None:
        await connection.send(*four(forwarder))
        await go.wait()
        await connection.send(forwarder.events(4, [item(5, 2_000)]))
        await stay_connected(connection)

    async with printing(talking, hold_ms=1 << 40) as one:
        await eventually(lambda: len(one.lines) == 3)
        go.set()
        await eventually(lambda: len(one.lines) == 4)
        assert json.loads(one.lines[-1])["late"] is True
        assert "late" not in one.lines[0]


async def test_the_oldest_history_is_requested_first() -> None:
    histories: list[str] = []

    async def asked(connection: ScriptedConnection) -> None:
        histories.append(connection.query.history)
        await stay_connected(connection)

    async with printing(asked):
        await eventually(lambda: histories == ["oldest"])


async def test_filters_until_and_last_lines() -> None:
    test = output_filter(["line"], ["line 3"])
    async with printing(
        says(*four(ForwarderMessages())),
        hold_ms=0,
        test=test,
        until_ms=5_000,
        lines=1,
        goal=Goal(through_ms=5_000),
    ) as one:
        assert await one.task == 0
        assert one.messages == ["line 1"]


async def test_text_is_the_default() -> None:
    async with printing(says(*four(ForwarderMessages())), hold_ms=0, style=OutputStyle()) as one:
        await eventually(lambda: len(one.lines) == 4)
        assert one.lines[0] == "1970-01-01T00:00:02.001Z app/one line 2"


async def test_streams_of_one_name_in_two_groups_have_two_colours() -> None:
    engine = FakeEngine()
    engine.extra["targets"] = tuple(
        target_status(target=number, name=name, group=name) for number, name in enumerate("ab")
    )
    reading, writing = os.pipe()
    style = OutputStyle(color=True)
    plain = Plain(engine, PlainOptions(style=style), out=writing, say=lambda _text: None)
    lines = [
        PrintedLine(make_line(number, "x", stream="app", target=number % 2), is_late=False)
        for number in range(4)
    ]
    plain._write_lines(lines, engine.sources)
    os.close(writing)
    with os.fdopen(reading, "rb") as printed:
        colours = [line.split(b"app")[0].rpartition(b"\x1b")[2] for line in printed]
    assert colours == [b"[36m", b"[32m"] * 2


async def test_at_the_goal_every_held_line_is_printed() -> None:
    goal = Goal(through_ms=5_000)
    async with printing(says(*four(ForwarderMessages())), hold_ms=1 << 40, goal=goal) as one:
        assert await one.task == 0
        assert one.messages == ["line 2", "line 3", "line 1", "line 4"]
        assert one.said == []


async def test_an_incomplete_range_is_printed_and_has_its_exit_code() -> None:
    forwarder = ForwarderMessages()
    messages: list[ServerMessage] = [
        forwarder.welcome(lost=[Lost(2_000, 2_001, "retention")]),
        forwarder.backfill(DONE, done=True),
        forwarder.mark(SINCE, 5_000, 0),
    ]
    async with printing(says(*messages), goal=Goal(through_ms=5_000)) as one:
        assert await one.task == 4
        span = "1970-01-01T00:00:02.000Z..1970-01-01T00:00:02.001Z"
        assert one.said == [f"not recoverable: retention ({span})", f"not complete: {span}"]


async def test_a_gap_that_no_scan_closes_is_declared_and_ends_the_wait_with_its_reason() -> None:
    forwarder = ForwarderMessages()
    messages: list[ServerMessage] = [
        forwarder.welcome(),
        forwarder.backfill(DONE, done=True),
        forwarder.gap(2_000, 2_001, "suspected"),
        forwarder.mark(SINCE, 1_999, 0),
        forwarder.heartbeat(0),
    ]
    goal = Goal(through_ms=5_000, patience_ms=1_500)
    async with printing(says(*messages), goal=goal) as one:
        await eventually(lambda: one.said != [])
        span = "1970-01-01T00:00:02.000Z..1970-01-01T00:00:02.001Z"
        assert one.said == [f"gap suspected… retention ({span})"]
        assert await one.task == 4
        where = "1970-01-01T00:00:02.000Z..1970-01-01T00:00:05.000Z"
        assert one.said[1:] == [f"not complete: {where}: retention ({span})"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_prints_every_held_line(number: signal.Signals) -> None:
    async with printing(says(*four(ForwarderMessages())), hold_ms=1 << 40) as one:
        await eventually(lambda: len(one.lines) == 3)
        os.kill(os.getpid(), number)
        assert await one.task == 128 + number
        assert one.messages[-1] == "line 4"


async def test_a_reader_that_leaves_ends_it_with_success() -> None:
    first, second = ForwarderMessages(), ForwarderMessages()

    async def more(connection: ScriptedConnection) -> None:
        await connection.send(*four(first))
        await go.wait()
        await connection.send(first.events(4, [item(5, 9_001)]), first.mark(SINCE, 9_999, 5))
        await stay_connected(connection)

    go = asyncio.Event()
    async with printing(more, says(second.welcome())) as one:
        await eventually(lambda: len(one.lines) == 3)
        os.close(one.reading)
        go.set()
        assert await one.task == 0
        assert one.said == []
        one.reading = os.open(os.devnull, os.O_RDONLY)


async def test_no_traceback_when_cancelled_as_the_write_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: reported.append(context))

    async def failing(_work: object) -> None:
        loop.call_soon(one.task.cancel)  # runs before the failure reaches the waiting task
        raise BrokenPipeError

    monkeypatch.setattr("tui.output.plain.in_thread", failing)
    async with printing(says(*four(ForwarderMessages()))) as one:
        await asyncio.wait([one.task])
    one.task = loop.create_task(asyncio.sleep(0, 0))  # the old one holds what it failed with
    gc.collect()
    assert reported == []


async def test_a_second_signal_abandons_unread_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noticed: list[int] = []
    interrupt = Plain._interrupt

    def notice(plain: Plain, number: int) -> None:
        noticed.append(number)
        interrupt(plain, number)

    monkeypatch.setattr(Plain, "_interrupt", notice)
    monkeypatch.setattr("tui.output.plain.READER_TIMEOUT_MS", 1 << 40)
    async with printing(says(*more_than_a_pipe_holds(ForwarderMessages()))) as one:
        await eventually(lambda: one.engine.complete_through == 5_000)
        await in_thread(lambda: None)
        os.kill(os.getpid(), signal.SIGINT)
        await eventually(lambda: len(noticed) == 1)  # two that wait at once would be one
        os.kill(os.getpid(), signal.SIGINT)
        assert await one.task == 130
        assert noticed == [signal.SIGINT] * 2
        assert one.lines, "the pipe's fill came through, and unblocks the writer"


async def test_one_signal_is_enough_without_a_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tui.output.plain.READER_TIMEOUT_MS", 100)
    async with printing(says(*more_than_a_pipe_holds(ForwarderMessages()))) as one:
        await eventually(lambda: one.engine.complete_through == 5_000)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await one.task == 143
        assert one.lines, "the pipe's fill came through, and unblocks the writer"


async def test_outages_are_printed() -> None:
    first, second = ForwarderMessages(), ForwarderMessages()

    async def cut(connection: ScriptedConnection) -> None:
        await connection.send(first.welcome(), first.backfill(DONE, done=True))
        connection.websocket.transport.abort()

    async with printing(cut, says(second.welcome("resumed"))) as one:
        await eventually(lambda: len(one.said) == 3)
        assert one.said[0].startswith("offline: the connection broke")
        assert one.said[2].startswith("offline 0.0 s (")


async def test_the_record_is_written_on_sigusr1_and_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "record"
    async with printing(says(*four(ForwarderMessages())), hold_ms=0, record=path) as one:
        await eventually(lambda: len(one.lines) == 4)
        os.kill(os.getpid(), signal.SIGUSR1)
        await eventually(path.exists)
        path.unlink()
        os.kill(os.getpid(), signal.SIGTERM)
        await one.task
        assert path.read_text().count('"event"') == 4
        # It is ending: SIGUSR1 must not kill it now.
        os.kill(os.getpid(), signal.SIGUSR1)


async def test_a_record_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    record = tmp_path / "missing" / "record"
    async with printing(
        says(*four(ForwarderMessages())), record=record, goal=Goal(through_ms=5_000)
    ) as one:
        assert await one.task == 0
        why = "No such file or directory"
        assert one.said == [f"cannot write the record {record} ({why}): choose another place"]


async def test_what_is_held_is_not_saved_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.output.plain.SAVE_S", 0)
    forwarder, go = ForwarderMessages(), asyncio.Event()

    async def talking(connection: ScriptedConnection) -> None:
        await connection.send(*four(forwarder))
        await go.wait()
        await connection.send(forwarder.mark(SINCE, 9_999, 4))
        await stay_connected(connection)

    async with printing(talking, hold_ms=1 << 40, cursors=tmp_path) as one:
        await eventually(lambda: len(one.lines) == 3)
        await eventually(lambda: printed_keys(tmp_path) == [1, 2, 3])
        go.set()
        await eventually(lambda: len(one.lines) == 4)
        await eventually(lambda: printed_keys(tmp_path) == [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        ({}, [1, 2, 3, 4]),
        ({"until_ms": 2_002}, [2, 3]),
        ({"lines": 2, "follow": False}, [1, 4]),
        ({"test": output_filter(["line 1"])}, [1, 2, 3, 4]),
    ],
)
async def test_at_the_end_what_was_printed_is_saved(
    tmp_path: Path, options: dict[str, Any], printed: list[int]
) -> None:
    """Lines that the filter rejects belong to no run of this consumer."""
    goal = Goal(through_ms=5_000)
    script = says(*four(ForwarderMessages()))
    async with printing(script, cursors=tmp_path, goal=goal, **options) as one:
        await one.task
        assert printed_keys(tmp_path) == printed
        assert not [text for text in one.said if "another journal" in text], "it is the first run"


async def test_a_journal_that_renumbers_more_than_is_remembered_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.output.printed_keys.KEYS_MAX", 1)
    monkeypatch.setattr("tui.output.plain.SAVE_S", 0)
    script = says(*four(ForwarderMessages()))
    async with printing(script, cursors=tmp_path, goal=Goal(through_ms=5_000)) as one:
        await one.task
    new = ForwarderMessages()
    another = says(new.welcome("rebased", epoch="e2", head_seq=1), new.events(0, [item(1, 2_003)]))
    async with printing(another, another, hold_ms=0, cursors=tmp_path) as one:
        await eventually(lambda: any("another journal" in text for text in one.said))
        [text] = [text for text in one.said if "another journal" in text]
        assert text == (
            "the forwarder has another journal: of the lines that consumer 'archive' printed, "
            "all but the last 100,000 may be printed again"
        )


class HeldFilter(OutputFilter, frozen=True):
    """Lets every line pass once ``may_pass`` is set."""

    may_pass = threading.Event()
    is_asked = threading.Event()

    def passes(self, line: Line) -> bool:
        self.is_asked.set()
        # On the event loop, it would wait for a heartbeat that cannot be received.
        return self.may_pass.wait(20) and line.message != ""


async def test_long_lines_are_matched_outside_the_event_loop_and_none_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.output.plain.SAVE_S", 0)
    monkeypatch.setattr(HeldFilter, "may_pass", threading.Event())
    monkeypatch.setattr(HeldFilter, "is_asked", threading.Event())
    forwarder, go = ForwarderMessages(), asyncio.Event()
    long = "a" * (1 << 18)

    async def talking(connection: ScriptedConnection) -> None:
        await connection.send(
            forwarder.welcome(),
            forwarder.backfill(DONE, done=True),
            forwarder.events(0, [item(1, 2_003, message=long), item(2, 2_001, message=long)]),
        )
        await go.wait()
        # While the first ones are matched: a mark that covers them and a third one.
        third = item(3, 2_002)
        await connection.send(forwarder.events(2, [third]), forwarder.mark(SINCE, 5_000, 3))
        await stay_connected(connection)

    async with printing(talking, hold_ms=1 << 40, cursors=tmp_path, test=HeldFilter()) as one:
        await eventually(HeldFilter.is_asked.is_set)
        go.set()
        await eventually(lambda: one.engine.complete_through == 5_000)
        assert one.lines == []
        assert printed_keys(tmp_path) == []
        HeldFilter.may_pass.set()
        await eventually(lambda: len(one.lines) == 3 and one.data.endswith(b"\n"))
        assert one.messages == [long, "line 3", long]
        await eventually(lambda: printed_keys(tmp_path) == [1, 2, 3])


def test_output_imports_no_screen() -> None:
    """It must start fast: neither Textual nor what belongs to the other parts is imported."""
    code = "import sys, tui.output.plain; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=240
    )
    assert not {"textual", "boto3", "moto", "forwarder", "simulator"} & set(done.stdout.split())


async def test_context_lines_are_around_matches_in_the_order_of_time() -> None:
    test = output_filter(include=["line 2"])
    async with printing(
        says(*four(ForwarderMessages())), hold_ms=0, test=test, after=1, before=0
    ) as one:
        await eventually(lambda: len(one.messages) == 2)
        found = [json.loads(line) for line in one.lines]
        assert [(line["seq"], line.get("context")) for line in found] == [(2, None), (3, True)]


async def test_a_long_line_is_formatted_outside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[threading.Thread] = []

    def noting(*args: Any, **options: Any) -> bytes:  # noqa: ANN401 - as format_line
        threads.append(threading.current_thread())
        return format_context_line(*args, **options)

    monkeypatch.setattr("tui.output.plain.format_context_line", noting)
    async with printing(says(*four(ForwarderMessages())), hold_ms=0) as one:
        await eventually(lambda: len(one.messages) == 4)
        assert len(threads) == 4
        assert threading.main_thread() not in threads
