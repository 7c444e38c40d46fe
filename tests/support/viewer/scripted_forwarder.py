"""A WebSocket server that sends scripted messages, for tests of the viewer's connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.support.viewer.http_journal import HttpJournal
from wire.codec import decode_client, encode
from wire.messages import ClientMessage, ServerMessage
from wire.query import TailQuery, parse_tail

Script = Callable[["ScriptedConnection"], Awaitable[None]]


class ScriptedConnection:
    """The server's side of one connection."""

    def __init__(self, websocket: ServerConnection, query: TailQuery) -> None:
        self.websocket = websocket
        self.query = query

    async def send(self, *messages: ServerMessage) -> None:
        for message in messages:
            await self.websocket.send(encode(message), text=True)

    async def receive(self) -> ClientMessage:
        return decode_client(await self.websocket.recv(decode=False))

    async def until_closed(self) -> int | None:
        """Wait until the client closes; returns its close code."""
        await self.websocket.wait_closed()
        return self.websocket.close_code


class ScriptedForwarder:
    """Handles each connection by the next script; the last script handles all later ones."""

    def __init__(self, *scripts: Script, http_journal: HttpJournal | None = None) -> None:
        self.scripts = list(scripts)
        self.http_journal = http_journal
        self.refusal: tuple[int, bytes] | None = None
        """Status and body that refuse every upgrade; None accepts them."""
        self.queries: list[TailQuery] = []
        self.headers: list[dict[str, str]] = []
        self.failures: list[BaseException] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/tail"

    async def handle(self, websocket: ServerConnection) -> None:
        assert websocket.request is not None
        query = parse_tail(urlsplit(websocket.request.path).query)
        self.queries.append(query)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        try:
            await script(ScriptedConnection(websocket, query))
        except ConnectionClosed:
            return
        except Exception as failure:  # noqa: BLE001 - a failed assertion in a script, for the test
            self.failures.append(failure)

    def answer(self, websocket: ServerConnection, request: Request) -> Response | None:
        path = urlsplit(request.path).path
        self.headers.append(dict(request.headers.raw_items()))
        if path == "/v1/tail":
            if self.refusal is None:
                return None
            return _respond(websocket, *self.refusal)
        if path == "/v1/groups":
            return _respond(websocket, 200, b'["/group"]')
        if self.http_journal is None:
            return _respond(websocket, 502, b"not found")
        given = self.http_journal.answer(request.path)
        return _respond(websocket, given.status, given.body)


def _respond(websocket: ServerConnection, status: int, body: bytes) -> Response:
    response = websocket.respond(HTTPStatus(status), "")
    response.body = body
    del response.headers["Content-Length"]
    response.headers["Content-Length"] = str(len(body))
    return response


@asynccontextmanager
async def scripted_forwarder(
    *scripts: Script, http_journal: HttpJournal | None = None
) -> AsyncIterator[ScriptedForwarder]:
    """Run a server; a failed assertion in a script fails the test at the end of the block."""
    forwarder = ScriptedForwarder(*scripts, http_journal=http_journal)
    server: Server = await serve(
        forwarder.handle,
        "127.0.0.1",
        0,
        process_request=forwarder.answer,
        ping_interval=None,
        close_timeout=1,
    )
    forwarder.port = next(iter(server.sockets)).getsockname()[1]
    try:
        yield forwarder
    finally:
        server.close()
        await server.wait_closed()
    if forwarder.failures:
        raise forwarder.failures[0]


async def eventually(holds: Callable[[], object]) -> None:
    """Wait until a condition holds; only the test's time limit bounds the wait."""
    while not holds():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.005)


async def stay_connected(connection: ScriptedConnection) -> None:
    """Keep the connection open and discard all messages."""
    while True:
        await connection.receive()
