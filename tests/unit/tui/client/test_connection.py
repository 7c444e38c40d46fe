"""tests.unit.tui.client.test_connection."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from common.errors import GaplessError
from common.http import HttpFailure
from tests.support.network.kept_port import kept_port
from tests.support.viewer.http_journal import HttpJournal
from tests.support.viewer.scripted_forwarder import (
    Script,
    ScriptedConnection,
    ScriptedForwarder,
    eventually,
    scripted_forwarder,
    stay_connected,
)
from tests.support.viewer.server_messages import SINCE, ForwarderMessages, item
from tui.client.connection import (
    RECONNECT_MAX_MS,
    WATCHED_RECONNECT_MAX_MS,
    Address,
    Disconnection,
    ForwarderConnection,
    HttpGetter,
    TokenSource,
)
from tui.client.session import CREDIT_EVENTS, ViewerSession
from tui.client.status import CaughtUp, Effect, Stored, Welcomed
from wire.limits import CLIENT_FRAME_BYTES_MAX
from wire.messages import Credit, ServerMessage

DONE = f"{SINCE}:0.."


class Heard:
    """Records everything that the callbacks get."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.ends: list[Disconnection] = []
        self.waits: list[int] = []
        self.attempts: list[int] = []
        self.errors: list[str] = []
        self.flow = asyncio.Event()
        self.flow.set()

    def note_end(self, end: Disconnection, wait_ms: int) -> None:
        self.ends.append(end)
        self.waits.append(wait_ms)

    @property
    def callbacks(self) -> dict[str, Any]:
        return {
            "on_attempt": self.attempts.append,
            "on_effects": self.effects.extend,
            "on_malformed": self.errors.append,
            "on_end": self.note_end,
            "wait_until_ready": self.flow.wait,
        }

    @property
    def seqs(self) -> list[int]:
        return [line.seq for one in self.effects if isinstance(one, Stored) for line in one.lines]


REFUSED = (401, b'{"error":"a valid token is needed"}')


class Running:
    def __init__(
        self,
        server: ScriptedForwarder,
        session: ViewerSession,
        token: TokenSource,
        *,
        is_watched: bool = False,
    ) -> None:
        self.server, self.session, self.heard = server, session, Heard()
        self.connection = ForwarderConnection(
            session,
            Address(server.url, token),
            **self.heard.callbacks,
            now_ms=lambda: time.monotonic_ns() // 1_000_000,
            rng=random.Random(0),
            is_watched=is_watched,
        )


@asynccontextmanager
async def running(
    *scripts: Script,
    refusal: tuple[int, bytes] | None = None,
    token: TokenSource = None,
    is_watched: bool = False,
) -> AsyncIterator[Running]:
    """A connection to a server with these scripts."""
    async with scripted_forwarder(*scripts) as server:
        server.refusal = refusal
        run = Running(server, ViewerSession(since=SINCE), token, is_watched=is_watched)
        task = asyncio.create_task(run.connection.run())
        try:
            yield run
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def says(*messages: ServerMessage) -> Script:
    async def script(connection: ScriptedConnection) -> None:
        await connection.send(*messages)
        await stay_connected(connection)

    return script


def opening(forwarder: ForwarderMessages) -> Sequence[ServerMessage]:
    return (forwarder.welcome(), forwarder.backfill(DONE, done=True))


async def test_lines_are_received_and_credit_is_granted() -> None:
    forwarder, granted = ForwarderMessages(), asyncio.get_running_loop().create_future()

    async def script(connection: ScriptedConnection) -> None:
        assert connection.query.credit == CREDIT_EVENTS
        await connection.send(
            *opening(forwarder), forwarder.events(0, [item(1, 2_000)]), forwarder.heartbeat(1)
        )
        granted.set_result(await connection.receive())
        await stay_connected(connection)

    async with running(script) as run:
        await eventually(lambda: run.heard.seqs == [1])
        assert await granted == Credit(CREDIT_EVENTS + 1)
        assert run.heard.attempts == [1]


async def test_after_a_cut_it_resumes_with_its_cursor() -> None:
    first, second = ForwarderMessages(), ForwarderMessages()

    async def cut(connection: ScriptedConnection) -> None:
        await connection.send(*opening(first), first.events(0, [item(1, 2_000)]))
        connection.websocket.transport.abort()

    again = says(second.welcome("resumed", after=1, head_seq=2), second.events(1, [item(2, 2_001)]))
    async with running(cut, again) as run:
        await eventually(lambda: CaughtUp(1) in run.heard.effects)
        assert run.heard.seqs == [1, 2]
        assert (run.server.queries[1].epoch, run.server.queries[1].after) == ("e1", 1)
        assert run.heard.ends[0].reason == "the connection broke"
        assert run.heard.ends[0].code is None


async def test_a_dropped_frame_closes_with_4010() -> None:
    forwarder, codes = ForwarderMessages(), list[int | None]()

    async def dropping(connection: ScriptedConnection) -> None:
        await connection.send(*opening(forwarder))
        forwarder.events(0, [item(1, 2_000)])
        await connection.send(forwarder.heartbeat(1))
        codes.append(await connection.until_closed())

    second = ForwarderMessages()
    again = says(second.welcome("resumed"), second.events(0, [item(1, 2_000)]))
    async with running(dropping, again) as run:
        await eventually(lambda: run.heard.seqs == [1])
        await eventually(lambda: codes == [4010])
        assert run.heard.ends[0].code == 4010


async def test_a_connection_that_falls_silent_is_closed_with_4012() -> None:
    codes: list[int | None] = []

    async def silent(connection: ScriptedConnection) -> None:
        forwarder = ForwarderMessages()
        await connection.send(forwarder.welcome(heartbeat_ms=50))
        codes.append(await connection.until_closed())

    async with running(silent, says(ForwarderMessages().welcome("resumed"))) as run:
        await eventually(lambda: len(run.server.queries) == 2)
        assert codes == [4012]


@pytest.mark.parametrize("code", [4001, 4008, 1011])
async def test_it_reconnects_after_most_close_codes(code: int) -> None:
    forwarder = ForwarderMessages()

    async def closing(connection: ScriptedConnection) -> None:
        await connection.send(forwarder.welcome(), forwarder.bye("later", retry_after_ms=40))
        await connection.websocket.close(code, "later")

    second = ForwarderMessages()
    async with running(closing, says(second.welcome("resumed"))) as run:
        await eventually(lambda: len(run.server.queries) == 2)
        assert run.heard.ends[0].code == code
        assert run.heard.waits[0] >= 40
        assert "later" in run.heard.ends[0].reason


async def test_it_does_not_reconnect_after_a_final_close_code() -> None:
    async def closing(connection: ScriptedConnection) -> None:
        await connection.websocket.close(4504, "not for you")

    async with running(closing) as run:
        await eventually(lambda: run.heard.ends)
        (end,) = run.heard.ends
        assert (end.code, end.final) == (4504, True)
        assert end.reason == "the token does not cover this log group: not for you"
        assert run.heard.waits == [0]


async def test_it_does_not_reconnect_to_another_protocol_version() -> None:
    async with running(says(ForwarderMessages().welcome(protocol=2))) as run:
        await eventually(lambda: run.heard.ends)
        assert (run.heard.ends[0].code, run.heard.ends[0].final) == (4502, True)


@pytest.mark.parametrize(
    ("status", "body", "reason", "final"),
    [
        (404, b'{"error":"log group x is not served here"}', "log group x", True),
        (401, b'{"error":"a token is needed"}', "a token is needed", True),
        (503, b'{"error":"not ready"}', "not ready", False),
        (426, b'{"error":"connect with an upgrade"}', "upgrade", False),
        (502, b"<html>bad gateway</html>", "refused with HTTP 502", False),
        (404, b"nothing here", "refused with HTTP 404", False),
    ],
)
async def test_a_refused_upgrade(status: int, body: bytes, reason: str, *, final: bool) -> None:
    async with running(stay_connected, refusal=(status, body)) as run:
        await eventually(lambda: run.heard.ends)
        end = run.heard.ends[0]
        assert reason in end.reason
        assert (end.final, end.is_refused, end.code) == (final, True, None)


async def first_end(url: str) -> Disconnection:
    """How the first attempt to connect to a URL ends."""
    heard = Heard()
    connection = ForwarderConnection(
        ViewerSession(), Address(url), **heard.callbacks, now_ms=lambda: 0, rng=random.Random(0)
    )
    task = asyncio.create_task(connection.run())
    await eventually(lambda: heard.ends)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return heard.ends[0]


async def test_a_server_of_something_else() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 404 Not Found\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    end = await first_end(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    server.close()
    await server.wait_closed()
    assert end.is_refused
    assert "404 Not Found" in end.reason


async def test_no_server_listens() -> None:
    nobody = ScriptedForwarder()
    with kept_port() as nobody.port:
        elsewhere = Running(nobody, ViewerSession(), None)
        task = asyncio.create_task(elsewhere.connection.run())
        await eventually(lambda: len(elsewhere.heard.ends) > 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert elsewhere.heard.attempts[:2] == [1, 2]
    assert not elsewhere.heard.ends[0].is_refused
    assert "refused" in elsewhere.heard.ends[0].reason


async def test_an_invalid_url_gives_a_reason() -> None:
    assert (await first_end("ws://127.0.0.1:99999")).reason


async def test_malformed_messages_are_counted_and_nothing_is_lost() -> None:
    forwarder = ForwarderMessages()

    async def garbling(connection: ScriptedConnection) -> None:
        await connection.send(*opening(forwarder))
        await connection.websocket.send(b"\xff\xfe not json")
        await connection.websocket.send('{"type":"events","n":"x"}')
        await connection.send(forwarder.events(0, [item(1, 2_000)]))
        await stay_connected(connection)

    async with running(garbling) as run:
        await eventually(lambda: run.heard.seqs == [1])
        assert len(run.heard.errors) == 2
        assert run.heard.ends == []


async def test_the_token_is_sent() -> None:
    async with running(says(ForwarderMessages().welcome()), token="secret") as run:
        await eventually(lambda: run.heard.effects)
        assert run.server.headers[0]["Authorization"] == "Bearer secret"


async def test_a_token_is_looked_up_before_each_attempt() -> None:
    offered = iter(["first", "second"])
    first, second = ForwarderMessages(), ForwarderMessages()
    async with running(
        says(*opening(first)), says(second.welcome("resumed")), token=lambda: next(offered)
    ) as run:
        await eventually(lambda: run.session.is_backfilled)
        run.connection.reconnect_now()
        await eventually(lambda: len(run.server.headers) == 2)
        sent = [one["Authorization"] for one in run.server.headers]
        assert sent == ["Bearer first", "Bearer second"]


async def test_a_token_that_a_restart_replaced_is_no_reason_to_give_up() -> None:
    started: list[Running] = []
    sent: list[str] = []

    def token() -> str:
        """The first one is outdated once it was sent."""
        sent.append("new" if sent else "old")
        started[0].server.refusal = None if len(sent) > 1 else REFUSED
        return sent[-1]

    async with running(says(ForwarderMessages().welcome()), token=token) as run:
        started.append(run)
        await eventually(lambda: run.heard.effects)
        given = [one["Authorization"] for one in run.server.headers]
        assert given == ["Bearer old", "Bearer new"]
        assert [(end.final, end.is_refused) for end in run.heard.ends] == [(False, False)]


async def test_a_token_that_can_not_be_read_ends_the_viewer_with_the_reason() -> None:
    def unreadable() -> str:
        msg = "other users can read the token file /t: run chmod 600 /t"
        raise GaplessError(msg)

    async with running(says(ForwarderMessages().welcome()), token=unreadable) as run:
        await eventually(lambda: run.heard.ends)
        assert run.heard.ends == [
            Disconnection("other users can read the token file /t: run chmod 600 /t", final=True)
        ]
        assert run.server.headers == []


async def test_reconnect_now_ends_the_wait_and_the_connection() -> None:
    first, second = ForwarderMessages(), ForwarderMessages()
    async with running(says(*opening(first)), says(second.welcome("resumed"))) as run:
        await eventually(lambda: run.session.is_backfilled)
        run.connection.reconnect_now()
        await eventually(
            lambda: [one for one in run.heard.effects if isinstance(one, Welcomed) and one.again]
        )


async def test_nothing_is_received_until_the_listener_is_ready() -> None:
    forwarder = ForwarderMessages()
    async with running(says(*opening(forwarder), forwarder.events(0, [item(1, 2_000)]))) as run:
        run.heard.flow.clear()
        await eventually(lambda: run.session.is_welcomed)
        assert run.heard.seqs == []
        run.heard.flow.set()
        await eventually(lambda: run.heard.seqs == [1])


async def test_messages_of_polling_go_over_the_open_connection() -> None:
    from tui.client.holdings import RangeRequest  # noqa: PLC0415
    from wire.messages import Repair  # noqa: PLC0415

    got: list[object] = []

    async def listening(connection: ScriptedConnection) -> None:
        forwarder = ForwarderMessages()
        await connection.send(*opening(forwarder))
        got.append(await connection.receive())
        await stay_connected(connection)

    async with running(listening) as run:
        await run.connection.send_messages([])
        await eventually(lambda: run.session.is_backfilled)
        effects = run.session.request_range(RangeRequest("repair", 1, 2, scanned=False), 0)
        await run.connection.send_messages(effects)
        await eventually(lambda: got == [Repair(1, 2)])


@pytest.mark.parametrize(
    ("url", "websocket", "http"),
    [
        ("ws://h:1", "ws://h:1/v1/tail?a=1", "http://h:1/v1/logs?b=2"),
        ("ws://h:1/", "ws://h:1/v1/tail?a=1", "http://h:1/v1/logs?b=2"),
        ("wss://h/v1/tail", "wss://h/v1/tail?a=1", "https://h/v1/logs?b=2"),
        (
            "wss://h/logs/v1/tail?k=v",
            "wss://h/logs/v1/tail?k=v&a=1",
            "https://h/logs/v1/logs?k=v&b=2",
        ),
    ],
)
def test_the_websocket_and_http_urls_of_an_address(url: str, websocket: str, http: str) -> None:
    address = Address(url)
    assert address.websocket_url("a=1") == websocket
    assert address.http_url("/v1/logs?b=2") == http


def test_a_path_without_parameters_stays_without() -> None:
    assert Address("ws://h").http_url("/v1/groups") == "http://h/v1/groups"


def test_every_request_has_the_token() -> None:
    assert Address("ws://h").headers == {}
    assert Address("ws://h", "secret").headers == {"Authorization": "Bearer secret"}


@pytest.mark.parametrize(
    ("url", "is_loopback"),
    [
        ("ws://127.0.0.1:8", True),
        ("ws://[::1]:8", True),
        ("ws://localhost", True),
        ("ws://h", False),
    ],
)
def test_loopback_addresses_are_recognised(url: str, *, is_loopback: bool) -> None:
    assert Address(url).is_loopback is is_loopback


async def test_a_get_returns_status_and_body_of_any_status() -> None:
    async with scripted_forwarder(stay_connected, http_journal=HttpJournal([])) as server:
        getter = HttpGetter(Address(server.url, "secret"))
        status, body = await getter.get("/v1/logs?since=5")
        assert status == 200
        assert b'"items":[]' in body
        server.http_journal = None
        assert (await getter.get("/v1/logs"))[0] == 502
        assert server.headers[0]["Authorization"] == "Bearer secret"


async def test_a_get_without_a_server_fails_with_one_line() -> None:
    with kept_port() as port, pytest.raises(HttpFailure) as failure:
        await HttpGetter(Address(f"ws://127.0.0.1:{port}")).get("/v1/logs")
    assert str(failure.value) == "connection refused"


async def test_an_endless_response_is_cut_off() -> None:
    async def pour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        chunk = b"x" * (1 << 20)
        try:
            for _ in range(CLIENT_FRAME_BYTES_MAX // len(chunk) + 4):
                writer.write(chunk)
                await writer.drain()
        except OSError:
            return
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(HttpFailure, match="over the limit"):
        await HttpGetter(Address(f"ws://127.0.0.1:{port}")).get("/v1/logs")
    server.close()
    await server.wait_closed()


async def test_an_endless_heartbeat_interval_is_refused() -> None:
    """Silence would never count as a dead connection."""
    forwarder = ForwarderMessages()
    welcome = forwarder.welcome(heartbeat_ms=10**18)
    async with running(says(welcome, forwarder.heartbeat(0))) as run:
        await eventually(lambda: run.heard.ends)
        assert run.heard.errors
        assert not run.session.is_welcomed
        assert not run.heard.ends[0].final


@pytest.mark.parametrize("is_watched", [False, True])
async def test_waits_between_attempts_are_bounded_and_differ(
    is_watched: bool,  # noqa: FBT001 - parametrized
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    longest_ms = WATCHED_RECONNECT_MAX_MS if is_watched else RECONNECT_MAX_MS

    async def not_at_all(event: asyncio.Event, seconds: float) -> None:  # noqa: ARG001
        await asyncio.sleep(0)

    monkeypatch.setattr("tui.client.connection.wait_and_clear", not_at_all)
    async with running(hang_up, is_watched=is_watched) as run:
        await eventually(lambda: len(run.heard.waits) >= 12)
        late = run.heard.waits[8:12]
        assert longest_ms // 2 <= min(late) < max(late) <= longest_ms
        assert all(end.is_cut for end in run.heard.ends)


@pytest.mark.parametrize(
    ("is_watched", "code", "shortest_ms", "longest_ms"),
    [
        (False, 4001, 20_000, 30_000),
        (True, 4001, WATCHED_RECONNECT_MAX_MS // 2, WATCHED_RECONNECT_MAX_MS),
        (True, 4013, 20_000, 30_000),
    ],
)
async def test_the_wait_that_a_forwarder_asks_for_is_spread_and_short_on_a_screen(
    is_watched: bool,  # noqa: FBT001 - parametrized
    code: int,
    shortest_ms: int,
    longest_ms: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def not_at_all(event: asyncio.Event, seconds: float) -> None:  # noqa: ARG001
        await asyncio.sleep(0)

    async def closing(connection: ScriptedConnection) -> None:
        forwarder = ForwarderMessages()
        await connection.send(forwarder.welcome(), forwarder.bye("later", retry_after_ms=20_000))
        await connection.websocket.close(code, "later")

    monkeypatch.setattr("tui.client.connection.wait_and_clear", not_at_all)
    async with running(closing, closing, closing, is_watched=is_watched) as run:
        await eventually(lambda: len(run.heard.waits) >= 3)
        waits = run.heard.waits[:3]
        assert shortest_ms <= min(waits) < max(waits) <= longest_ms


async def hang_up(connection: ScriptedConnection) -> None:
    await connection.websocket.close()
