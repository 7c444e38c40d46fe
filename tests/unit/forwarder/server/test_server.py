from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from forwarder.cloudwatch.clock import wall_clock_ms
from forwarder.config import REFUSED_SOCKETS, Limits
from forwarder.delivery.hub import Hub
from forwarder.errors import ForwarderError, JournalError
from forwarder.ingest.log_group import LogGroup
from forwarder.records import FeedKey
from forwarder.server import admission as admission_module
from forwarder.server import connection as connection_module
from forwarder.server import server as server_module
from forwarder.server.admission import Admission, GuessLimit, RefusalReason
from forwarder.server.api import Api
from forwarder.server.connection import PIECE_BYTES
from forwarder.server.server import Server
from forwarder.server.tokens import BearerTokens, TokenGrant
from tests.support.forwarder.fake_feed import FakeFeed
from tests.support.forwarder.session_client import event, events, log_group, scan
from tests.support.processes.gapless_processes import WAIT_S
from wire.codec import decode_server
from wire.messages import Backfill, Events, ServerMessage, UnknownMessage, Welcome

HEARTBEAT_MS = 200


class Running:
    """A server on a free port, with the journal of one log group."""

    def __init__(
        self,
        group: LogGroup,
        tokens: BearerTokens | None = None,
        *,
        limits: Limits | None = None,
        sockets_max: int | None = None,
        send_deadline_s: float = 0.5,
    ) -> None:
        self.group = group
        self.feed = FakeFeed(group)
        self.hub = Hub(group, self.feed, heartbeat_ms=HEARTBEAT_MS)
        self.admission = Admission(limits or Limits(), sockets_max=sockets_max)
        self.api = Api({FeedKey(group.name): self.hub}, tokens, refused=self.admission.refused)
        self.errors: list[ForwarderError] = []
        self.server = Server(
            self.api,
            self.admission,
            clock=wall_clock_ms,
            on_error=lambda _, error: self.errors.append(error),
            send_deadline_s=send_deadline_s,
        )

    async def start(self) -> None:
        await self.server.bind("127.0.0.1", 0)
        await self.server.accept()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.server.port}/v1/tail"

    async def dial(self, query: str = "since=0", **options: Any) -> ClientConnection:  # noqa: ANN401 - connect's own
        return await connect(f"{self.url}?{query}", max_size=8 << 20, proxy=None, **options)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the loop run until a condition of this process holds."""
        async with asyncio.timeout(240):
            while not condition():  # noqa: ASYNC110 - anything may be the condition
                await asyncio.sleep(0.01)

    async def get(self, request: str, *headers: str, raw: bytes | None = None) -> tuple[int, Any]:
        """Status and JSON of a request, written by hand."""
        status, text = await self.get_text(request, *headers, raw=raw)
        return status, json.loads(text)

    async def get_text(
        self, request: str, *headers: str, raw: bytes | None = None
    ) -> tuple[int, str]:
        """Status and body of a request, written by hand."""
        lines = [f"GET {request} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]
        answer = await self.exchange("\r\n".join(lines).encode() if raw is None else raw)
        if not answer:
            raise EOFError
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), body.decode()

    async def exchange(self, *parts: bytes) -> bytes:
        """The whole response to a request that arrives in parts."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            for part in parts:
                writer.write(part)
                await asyncio.sleep(0)
            return await reader.read()
        finally:
            writer.close()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    # Clients run in this process, which a busy machine may stop for seconds.
    monkeypatch.setattr(server_module, "STOP_S", WAIT_S)
    monkeypatch.setattr(server_module, "CLOSE_S", WAIT_S)
    monkeypatch.setattr(connection_module, "CLOSE_S", WAIT_S)


@pytest.fixture
def group() -> LogGroup:
    now = wall_clock_ms()
    group = log_group(events(range(1, 2_001), lambda n: now - 100_000 + n))
    scan(group, 0, None, [], at=now + 3_600_000)
    group.take_notices()
    return group


@pytest.fixture
async def running(group: LogGroup) -> AsyncIterator[Running]:
    made = Running(group)
    await made.start()
    yield made
    await made.server.stop("the test is over")
    assert made.hub.viewers == []
    assert made.server._connections == set()
    assert made.admission.sockets == 0


async def take(connection: ClientConnection) -> ServerMessage:
    async with asyncio.timeout(240):
        message = decode_server(await connection.recv())
    assert not isinstance(message, UnknownMessage)
    return message


async def all_past(connection: ClientConnection) -> list[str]:
    found: list[str] = []
    while True:
        message = await take(connection)
        if isinstance(message, Events):
            found += [item.id for item in message.items]
        if isinstance(message, Backfill) and message.done:
            return found


async def close_code(connection: ClientConnection) -> int | None:
    try:
        while True:
            await take(connection)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else None


async def test_a_viewer_gets_history_and_live_events(running: Running) -> None:
    async with await running.dial() as connection:
        welcome = await take(connection)
        assert isinstance(welcome, Welcome)
        assert welcome.n == 1
        assert len(await all_past(connection)) == 2_000
        running.group.ingest([event(9_999, wall_clock_ms())], "live")
        running.hub.progress()
        while not isinstance(message := await take(connection), Events):
            pass
        assert [item.id for item in message.items] == ["9999"]
        (viewer,) = running.hub.viewers
        assert viewer.bytes_sent > 100_000
        assert viewer.peer.startswith("127.0.0.1:")
    await running.until(lambda: not running.hub.viewers)
    assert running.feed.wanted == {}


async def test_frames_are_text(running: Running) -> None:
    async with await running.dial() as connection:
        assert isinstance(await connection.recv(), str)


async def test_heartbeats_in_silence(running: Running) -> None:
    async with await running.dial() as connection:
        await take(connection)
        await all_past(connection)
        kinds = [type(await take(connection)).__name__ for _ in range(3)]
        assert kinds == ["Heartbeat"] * 3


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "nonsense",
        '{"type":"weather"}',
        b"\x00\xff",
        b'{"type":"credit","events":5}',
        "x" * 5_000,
        "x" * 100_000,
        '{"type":"credit"}',
    ],
)
async def test_a_bad_message_closes_its_own_connection_with_4501(
    running: Running, frame: str | bytes
) -> None:
    async with await running.dial() as good, await running.dial() as bad:
        await bad.send(frame)
        assert await close_code(bad) == 4501
        assert len(await all_past(good)) == 2_000
    assert running.hub.counts.bad_messages == 1


async def test_credit_is_honoured(running: Running) -> None:
    async with await running.dial("since=0&credit=10") as connection:
        got = 0
        while got < 10:
            message = await take(connection)
            got += len(message.items) if isinstance(message, Events) else 0
        await connection.send('{"type":"credit","events":2000}')
        assert len(await all_past(connection)) == 1_990


async def test_only_the_stalled_reader_is_cut_off(
    running: Running, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = wall_clock_ms()
    for first in range(10_000, 10_400, 10):
        group.ingest([event(n, now, "x" * 200_000) for n in range(first, first + 10)], "live")
    stalled = await running.dial(max_queue=1)
    await running.until(lambda: len(running.hub.viewers) == 1)
    # The other one reads all the time, but not always within half a second.
    monkeypatch.setattr(running.server, "_send_deadline_s", WAIT_S)
    async with await running.dial(f"since={now}&credit=0") as good:
        await running.until(lambda: running.hub.counts.too_slow == 1)
        await good.send('{"type":"credit","events":10}')
        while not isinstance(await take(good), Events):
            pass
        assert len(running.hub.viewers) == 1
    stalled.transport.abort()
    await stalled.wait_closed()


async def test_a_stalled_reader_that_resumes_gets_4008(running: Running, group: LogGroup) -> None:
    now = wall_clock_ms()
    for first in range(10_000, 10_400, 10):
        group.ingest([event(n, now, "x" * 200_000) for n in range(first, first + 10)], "live")
    async with await running.dial(max_queue=1) as stalled:
        await running.until(lambda: running.hub.counts.too_slow == 1)
        assert await close_code(stalled) == 4008


async def test_stopping_says_bye_and_closes_with_4001(running: Running) -> None:
    async with await running.dial() as one, await running.dial() as other:
        await take(one)
        await take(other)
        codes = [asyncio.create_task(close_code(each)) for each in (one, other)]
        await running.server.stop("the forwarder is shutting down")
        assert [await code for code in codes] == [4001, 4001]


async def test_a_new_chain_closes_with_4001(running: Running, group: LogGroup) -> None:
    async with await running.dial() as connection:
        await all_past(connection)
        group.begin_chain("made anew")
        running.hub.progress()
        assert await close_code(connection) == 4001


async def test_a_cut_connection_is_noticed(running: Running) -> None:
    connection = await running.dial()
    await take(connection)
    connection.transport.abort()
    await running.until(lambda: not running.hub.viewers)


async def test_bodies_are_fetched_again_before_welcome_and_lost_ones_declared(
    running: Running, group: LogGroup
) -> None:
    group.journal.retire(before=wall_clock_ms())
    running.feed.bodies = {str(n): f"line {n}" for n in range(1, 2_001) if n != 7}
    async with await running.dial() as connection:
        welcome = await take(connection)
        assert isinstance(welcome, Welcome)
        assert [lost.reason for lost in welcome.lost] == ["gone"]
        assert len(await all_past(connection)) == 1_999
    assert running.feed.refetched


async def test_bodies_that_are_missing_later_are_fetched_when_met(
    running: Running, group: LogGroup
) -> None:
    async with await running.dial("since=0&credit=500") as connection:
        got = 0
        while got < 500:
            message = await take(connection)
            got += len(message.items) if isinstance(message, Events) else 0
        group.journal.retire(before=wall_clock_ms())
        running.feed.bodies = {str(n): f"line {n}" for n in range(1, 2_001)}
        await connection.send('{"type":"credit","events":2000}')
        assert len(await all_past(connection)) == 1_500
    assert running.feed.refetched


async def test_an_unreadable_journal_is_reported(
    running: Running, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        msg = "the disk is gone"
        raise JournalError(msg)

    async with await running.dial() as connection:
        await all_past(connection)
        monkeypatch.setattr(group.journal, "read_after", broken)
        group.ingest([event(9_999, 1)], "live")
        running.hub.progress()
        await connection.wait_closed()
    assert [str(error) for error in running.errors] == ["the disk is gone"]


@pytest.mark.parametrize(
    ("request_", "status", "text"),
    [
        ("/v1/tail?group=/none", 404, "/none"),
        ("/v1/tail?since=x", 400, "since"),
        ("/v1/tail", 426, "WebSocket"),
        ("/v1/logs?limit=0", 400, "limit"),
        ("/nothing", 404, "path"),
        ("/v1/logs?stream=" + "x" * 9_000, 414, "long"),
    ],
)
async def test_refusals_are_json(running: Running, request_: str, status: int, text: str) -> None:
    found, body = await running.get(request_)
    assert found == status
    assert text in body["error"]


async def test_an_upgrade_is_refused_in_json_as_well(running: Running) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await running.dial("since=0&group=/none")
    assert refused.value.response.status_code == 404
    assert "error" in json.loads(refused.value.response.body)


ALL_PATHS = [
    *("/v1/logs?since=0", "/v1/digest?from=0&through=1&epoch=a&seq=0", "/v1/executions"),
    *("/v1/groups", "/v1/viewers", "/v1/tail", "/metrics", "/healthz", "/readyz", "/none"),
]

UPGRADE = [
    *("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
]


BODIES = {
    "none": b"\r\n",
    "empty": b"Content-Length: 0\r\n\r\n",
    "whole": b"content-length:5\r\n\r\nhello",
    "not sent yet": b"Content-Length: 5000000\r\nExpect: 100-continue\r\n\r\n",
    "larger than it says": b"Content-Length: 5\r\n\r\n" + b"x" * 3_000_000,
    "a length that is none": b"Content-Length: five\r\n\r\nhello",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 7\r\n\r\nhello",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "compressed chunks": b"TRANSFER-ENCODING: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "both": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "get", "CONNECT"])
async def test_every_method_but_get_is_refused_with_any_body(
    running: Running, method: str, body: str
) -> None:
    for path in (*ALL_PATHS, "*"):
        for upgrade in ([], UPGRADE):
            lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *upgrade, ""]
            request = "\r\n".join(lines).encode() + BODIES[body]
            answer = await running.exchange(request)
            head, _, content = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 405 "), path
            assert b"\r\nAllow: GET\r\n" in head
            # RFC 9110, 9.3.2: a client takes a body after HEAD for the next response.
            assert (content == b"") == (method == "HEAD")
            assert method == "HEAD" or json.loads(content) == {"error": "only GET is allowed"}
    assert running.hub.viewers == []


@pytest.mark.parametrize("size", [1, 7, 100])
async def test_a_method_is_refused_however_the_request_arrives(running: Running, size: int) -> None:
    request = b"PUT /v1/logs HTTP/1.1\r\nHost: 127.0.0.1\r\n" + BODIES["chunks"]
    parts = [request[at : at + size] for at in range(0, len(request), size)]
    assert (await running.exchange(*parts)).startswith(b"HTTP/1.1 405 ")


async def test_an_upgrade_of_http_1_0_is_a_request_without_one(running: Running) -> None:
    lines = ["GET /v1/tail?since=0 HTTP/1.0", "Host: 127.0.0.1", *UPGRADE, "", ""]
    assert (await running.get("", raw="\r\n".join(lines).encode()))[0] == 426


@pytest.mark.parametrize("body", sorted(set(BODIES) - {"none", "empty"}))
async def test_get_with_a_body_is_refused(running: Running, body: str) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + BODIES[body]
    status, answer = await running.get("", raw=request)
    assert status == 400
    assert "without a body" in answer["error"]


async def test_a_request_with_a_body_is_no_way_around_the_checks(running: Running) -> None:
    origin = b"Origin: https://example.org\r\n"
    request = b"POST /v1/logs HTTP/1.1\r\nHost: 127.0.0.1\r\n" + origin + BODIES["whole"]
    assert (await running.get("", raw=request))[0] == 403
    assert running.admission.refused["origin"] == 1
    assert running.api.responses == {403: 1}


async def test_invalid_http_is_refused_and_disturbs_no_viewer(running: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.server.port)
    writer.write(b"nonsense\r\n\r\n")
    await reader.read()
    writer.close()
    found, body = await running.get("", raw=b"POST /v1/groups HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert found == 405
    assert body["error"]
    assert (await running.get("/healthz"))[0] == 200


async def test_http_answers_are_whole(running: Running) -> None:
    found, body = await running.get("/v1/logs")
    assert found == 200
    assert len(body["items"]) == 2_000
    assert running.api.responses[200] == 1


@pytest.mark.parametrize(
    "origin", ["https://example.org", "http://127.0.0.1", "null", "http://[", "http://example:1"]
)
async def test_web_pages_of_other_origins_are_refused(running: Running, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await running.dial(origin=origin)
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("has_token", [False, True])
@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (["Host: evil.example:8765"], "host"),
        (["Host: evil.example:8765", "Origin: http://evil.example:8765"], "host"),
        (["Host: 127.0.0.1", "Origin: https://example.org"], "origin"),
        (["Host: 127.0.0.1", "Origin: null"], "origin"),
        (["Host: 127.0.0.1", "Sec-Fetch-Site: cross-site"], "origin"),
        (["Host: 127.0.0.1", "Sec-Fetch-Site: same-site"], "origin"),
    ],
)
async def test_web_pages_get_nothing_on_any_path_even_with_a_token(
    group: LogGroup, headers: list[str], reason: RefusalReason, *, has_token: bool
) -> None:
    tokens = BearerTokens([TokenGrant("let-me-in")])
    made = Running(group, tokens if has_token else None)
    await made.start()
    try:
        for upgrade in ([], UPGRADE):
            for path in ALL_PATHS:
                lines = [f"GET {path} HTTP/1.1", *headers, *upgrade]
                lines += ["Authorization: Bearer let-me-in", "", ""]
                found, body = await made.get("", raw="\r\n".join(lines).encode())
                assert found == 403, path
                assert list(body) == ["error"]
        assert made.admission.refused == {reason: 2 * len(ALL_PATHS)}
        assert made.feed.wanted == {}
        assert made.hub.viewers == []
        status, metrics = await made.get_text("/metrics", "Authorization: Bearer let-me-in")
        assert status == 200
        refusals = f'gapless_refused_total{{reason="{reason}"}} {2 * len(ALL_PATHS)}'
        assert refusals in metrics
    finally:
        await made.server.stop("over")


async def test_the_user_s_own_browser_may_read(running: Running) -> None:
    for site in ("none", "same-origin"):
        found, _ = await running.get("/v1/groups", f"Sec-Fetch-Site: {site}")
        assert found == 200


async def test_an_unauthorised_request_asks_nothing_of_cloudwatch(
    group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission_module, "GUESSES_PER_MINUTE", 1e-3)  # none comes back meanwhile
    made = Running(group, BearerTokens([TokenGrant("let-me-in")]))
    await made.start()
    asked = "/v1/logs?since=0"
    try:
        for authorization in ("X-None: x", "Authorization: Bearer a-guess", "Authorization: x"):
            for path in (asked, f"{asked}&group={group.name}", "/v1/tail?since=0"):
                for upgrade in ([], UPGRADE):
                    assert (await made.get(path, authorization, *upgrade))[0] in (401, 429)
        assert made.feed.wanted == {}
        assert made.feed.refetched == []
        assert (await made.get(asked, "Authorization: Bearer let-me-in"))[0] == 429
        made.server.tokens_changed()
        made.admission.guesses = GuessLimit()
        assert (await made.get(asked, "Authorization: Bearer let-me-in"))[0] == 200
        assert [since for since, *_ in made.feed.wanted.values()] == [0]
    finally:
        await made.server.stop("over")


async def test_a_client_that_names_the_dialled_address_as_origin_is_accepted(
    running: Running,
) -> None:
    async with await running.dial(origin=f"http://127.0.0.1:{running.server.port}") as viewer:
        assert len(await all_past(viewer)) == 2_000


@pytest.mark.parametrize(("size", "status"), [(8_192, 200), (8_193, 414)])
async def test_a_request_line_may_have_8_kib(running: Running, size: int, status: int) -> None:
    line = "GET /v1/groups?x= HTTP/1.1"
    line = line.replace("x=", "x=" + "y" * (size - len(line)))
    found, _ = await running.get("", raw=f"{line}\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert found == status


async def test_only_with_a_token(group: LogGroup) -> None:
    made = Running(group, BearerTokens([TokenGrant("let-me-in")]))
    await made.start()
    try:
        assert (await made.get("/v1/groups"))[0] == 401
        assert (await made.get("/v1/groups", "Authorization: Bearer let-me-in"))[0] == 200
        with pytest.raises(InvalidStatus) as refused:
            await made.dial()
        assert refused.value.response.status_code == 401
        headers = {"Authorization": "Bearer let-me-in"}
        async with await made.dial(additional_headers=headers) as connection:
            assert isinstance(await take(connection), Welcome)
    finally:
        await made.server.stop("over")


async def test_viewers_are_bounded(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running.admission, "_viewers_max", 1)
    async with await running.dial() as connection:
        await take(connection)
        with pytest.raises(InvalidStatus) as refused:
            await running.dial()
        assert refused.value.response.status_code == 503
        assert (await running.get("/healthz"))[0] == 200


async def test_sockets_are_bounded(group: LogGroup) -> None:
    made = Running(group, sockets_max=1)
    await made.start()
    async with await made.dial() as connection:
        await take(connection)
        found, body = await made.get("/v1/groups")
        assert found == 503
        assert "1 connections are open already" in body["error"]
        assert (await made.get("/healthz"))[0] == 200
        made.admission.sockets += REFUSED_SOCKETS
        with pytest.raises((EOFError, ConnectionResetError)):
            await made.get("", raw=b"GET /healthz HTTP/1.1\r\n\r\n")
        made.admission.sockets -= REFUSED_SOCKETS
        assert made.admission.refused["sockets"] == 3
    await made.server.stop("over")
    assert made.admission.sockets == 0


async def test_a_viewer_that_stalls_costs_no_memory_and_no_work(
    group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is read, encoded or kept for it, however much others get meanwhile."""
    made = Running(group, send_deadline_s=60)
    await made.start()
    journal, reads = group.journal, 0
    read_after = journal.read_after

    def counted(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as the journal has it
        nonlocal reads
        reads += 1
        return read_after(*arguments, **options)

    monkeypatch.setattr(journal, "read_after", counted)
    now, size = wall_clock_ms(), 20_000
    async with await made.dial(f"since={now}") as good:
        await all_past(good)
        stalled = await made.dial(f"since={now}", max_queue=1)
        await take(stalled)
        stalled.transport.pause_reading()
        (connection,) = (
            one for one in made.server._connections if one.remote_address[1] == _port(stalled)
        )
        viewer = next(one for one in made.hub.viewers if one.peer.endswith(f":{_port(stalled)}"))
        # As much as the kernel takes for it; from then on it is stalled. The kernel may still move
        # some of it to the receiver's side, and take more.
        number = rounds = 0
        while rounds < 20:
            sent = viewer.session.sent_seq
            number = await _more(made, good, number, now, size)
            is_stalled = connection.paused and viewer.session.sent_seq == sent
            rounds = rounds + 1 if is_stalled else 0
        sent, reads, from_ = viewer.session.sent_seq, 0, number
        for _ in range(50):
            number = await _more(made, good, number, now, size)
            assert connection.transport.get_write_buffer_size() <= PIECE_BYTES + 1_000
        assert viewer.session.sent_seq == sent
        assert viewer.session.lanes._last is None
        assert reads <= number - from_, "read for the one that reads, and for nobody else"
        stalled.transport.abort()
    await made.server.stop("over")


async def _more(made: Running, good: ClientConnection, number: int, now: int, size: int) -> int:
    """Ten more events, which the good viewer has at the end."""
    first = 100_000 + number
    made.group.ingest([event(n, now, "x" * size) for n in range(first, first + 10)], "live")
    made.hub.progress()
    got = 0
    while got < 10:
        message = await take(good)
        got += len(message.items) if isinstance(message, Events) else 0
    return number + 10


def _port(connection: ClientConnection) -> int:
    port: int = connection.local_address[1]
    return port
