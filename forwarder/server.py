"""The socket side: WebSockets and HTTP on one port. No decisions: sessions and ``Api`` make them.

Each connection pulls from its session and sends, under a deadline of its own: the library's
keepalive does not notice a reader that has stalled, and its ``broadcast`` queues without limit.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from websockets import http11
from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Origin, StatusLike

from forwarder.errors import ForwarderError
from forwarder.http import TAIL_PATH, Accepted, Answer, Api, Steps, refused
from forwarder.hub import Viewer
from forwarder.pagination import Refusal
from wire.codec import decode_client, encode
from wire.errors import WireError
from wire.limits import (
    CLOSE_BAD_MESSAGE,
    CLOSE_REASONS,
    CLOSE_SHUTTING_DOWN,
    CLOSE_TOO_SLOW,
    REQUEST_LINE_BYTES_MAX,
)

SEND_DEADLINE_S: Final = 10.0
"""A send that takes longer is given up: the viewer reads too slowly (4008)."""

REFETCH_BEFORE_WELCOME_MS: Final = 5_000
"""How long ``welcome`` waits for bodies, so that it can say what is lost."""

REFETCH_MS: Final = 30_000
REFETCH_PAUSE_S: Final = 1.0
"""Of bodies that turn out to be missing later, one attempt and the pause before the next."""

OPEN_TIMEOUT_S: Final = 30.0
"""For a request to come, and for an HTTP answer to be read: the library cuts both with it."""

CLOSE_TIMEOUT_S: Final = 2.0
"""For the closing handshake; whoever does not answer is aborted."""

STOP_TIMEOUT_S: Final = 4.0
"""For everybody to take their leave when the server stops."""

VIEWERS_MAX: Final = 1_000
SOCKETS_MAX: Final = 2_000
"""Connections of any kind, those included that have not asked for anything yet."""

MESSAGE_BYTES_MAX: Final = 64 << 10
"""Larger ones are not even read; from 4 KiB on they are bad messages (4501) anyway."""

WRITE_BUFFER_BYTES: Final = 64 << 10
"""What is handed to the kernel ahead of its taking it."""

_REASON_BYTES_MAX: Final = 120

_LIBRARY_PREFIX: Final = "Failed to open a WebSocket connection: "

_LOG: Final = logging.getLogger("gapless.forwarder")
_LIBRARY_LOG: Final = logging.getLogger("gapless.forwarder.websockets")

# The library counts the line's end too, which is no part of the request line.
http11.MAX_LINE_LENGTH = REQUEST_LINE_BYTES_MAX + len(b"\r\n")


class _Protocol(ServerProtocol):
    """Refuses in JSON, also what never reaches ``process_request`` (a line too long: 414).

    What is no message of the protocol by its frame alone closes with 4501 as any other does.
    """

    has_binary = False
    """Whether a binary frame came: messages are text."""

    def recv_frame(self, frame: Frame) -> None:
        """Look at the kind of a frame, which nobody can see later."""
        self.has_binary = self.has_binary or frame.opcode is Opcode.BINARY
        super().recv_frame(frame)

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        """Close because of what came: too long for a message is a bad message."""
        is_bad_message = code == CloseCode.MESSAGE_TOO_BIG
        super().fail(CLOSE_BAD_MESSAGE if is_bad_message else code, reason)

    def process_origin(self, headers: Headers) -> Origin | None:
        """Let in, with pages of nobody, the clients that name the address they dial as origin."""
        given, hosts = headers.get_all("Origin"), headers.get_all("Host")
        if len(given) == len(hosts) == 1 and _is_address_of(given[0], hosts[0]):
            return Origin(given[0])
        return super().process_origin(headers)

    def reject(self, status: StatusLike, text: str) -> Response:
        """A refusal of the library's own."""
        response = super().reject(status, text)
        error = " ".join(text.removeprefix(_LIBRARY_PREFIX).split())
        if status == HTTPStatus.REQUEST_URI_TOO_LONG:
            error = f"the request line is too long: at most {REQUEST_LINE_BYTES_MAX} bytes"
        response.body = encode({"error": error})
        del response.headers["Content-Length"]
        del response.headers["Content-Type"]
        response.headers["Content-Length"] = str(len(response.body))
        response.headers["Content-Type"] = "application/json"
        return response


def _is_address_of(origin: str, host: str) -> bool:
    """Whether an origin is the host itself, by address: a name can be made to point here."""
    try:
        parts = urlsplit(origin)
        if parts.netloc != host or parts.hostname is None:
            return False
        return parts.hostname == "localhost" or bool(ipaddress.ip_address(parts.hostname))
    except ValueError:
        return False


class _Connection(ServerConnection):
    """A connection that knows whose it is, and is counted from its first byte."""

    sockets: ClassVar[set[_Connection]]

    def __init__(self, protocol: ServerProtocol, server: WebSocketServer, **options: Any) -> None:  # noqa: ANN401 - the library's own
        ours = _Protocol(origins=protocol.origins, max_size=MESSAGE_BYTES_MAX, logger=_LIBRARY_LOG)
        super().__init__(ours, server, **options)
        self.accepted: Accepted | None = None
        self._ours = ours

    async def receive(self) -> bytes:
        """The next message as it came.

        Raises:
            ConnectionClosed: there is none.
            WireError: it is not text.

        """
        data = await self.recv(decode=False)
        if self._ours.has_binary:
            msg = "a binary frame: messages are text"
            raise WireError(msg)
        return data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.sockets.add(self)
        if len(self.sockets) > SOCKETS_MAX:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.sockets.discard(self)
        super().connection_lost(exc)


class Server:
    """Serves an ``Api`` and its hubs on one address."""

    def __init__(
        self,
        api: Api,
        *,
        clock: Callable[[], int],
        on_error: Callable[[ForwarderError], None],
        send_deadline_s: float = SEND_DEADLINE_S,
    ) -> None:
        """Make a server that does not listen yet.

        Args:
            api: answers, and says who may connect.
            clock: ms since the Unix epoch.
            on_error: told of what a connection can't go on with, a broken journal for one.
            send_deadline_s: how long one send may take.

        """
        self._api = api
        self._clock = clock
        self._on_error = on_error
        self._send_deadline_s = send_deadline_s
        self._sockets: set[_Connection] = set()
        self._server: WebSocketServer | None = None
        self._viewers = 0

    async def bind(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Take the address, without accepting anybody yet.

        Raises:
            OSError: the address can't be had.

        """

        class Connection(_Connection):
            sockets = self._sockets

        self._server = await serve(
            self._serve,
            host,
            port,
            ssl=tls,
            process_request=self._process_request,
            # Web pages of others must not read logs through the browser of who runs this.
            origins=None if self._api.asks_for_token else [None],
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            write_limit=WRITE_BUFFER_BYTES,
            logger=_LIBRARY_LOG,
            create_connection=Connection,
            start_serving=False,
        )

    async def accept(self) -> None:
        """Begin to accept connections.

        Raises:
            OSError: somebody else listens there.

        """
        assert self._server is not None
        await self._server.start_serving()

    @property
    def port(self) -> int:
        """The port that was taken."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self, reason: str) -> None:
        """Say ``bye`` to everybody, close with 4001, and cut off who does not go."""
        if self._server is None:
            return
        self._server.close(close_connections=False)
        self._api.bye(reason)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._server.wait_closed()
        for connection in list(self._sockets):
            connection.transport.abort()
        await self._server.wait_closed()

    # HTTP

    async def _process_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """A viewer's upgrade goes through; everything else is answered, and that is it."""
        given = request.headers.get_all("Authorization")
        authorization = given[0] if len(given) == 1 else None
        upgrade = ",".join(request.headers.get_all("Upgrade")).lower()
        if "websocket" in upgrade and urlsplit(request.path).path == TAIL_PATH:
            accepted = self._api.accept(request.path, authorization)
            if isinstance(accepted, Accepted) and self._viewers >= VIEWERS_MAX:
                text = f"{VIEWERS_MAX} viewers are connected already"
                accepted = refused(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text))
            if isinstance(accepted, Accepted):
                assert isinstance(connection, _Connection)
                connection.accepted = accepted
                return None
            return self._response(accepted)
        steps = self._api.answer(request.method, request.path, authorization, self._clock())
        return self._response(await self._drive(steps))

    async def _drive(self, steps: Steps) -> Answer:
        """Let an answer be made, others in between, and fetch the bodies that it needs."""
        try:
            while True:
                needed = next(steps)
                if needed is None:
                    await asyncio.sleep(0)
                else:
                    deadline_ms = self._clock() + REFETCH_BEFORE_WELCOME_MS
                    await needed.hub.feed.refetch(needed.from_, needed.through, deadline_ms)
        except StopIteration as done:
            answer: Answer = done.value
            return answer
        except ForwarderError as error:
            self._on_error(error)
            return refused(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error)))

    def _response(self, answer: Answer) -> Response:
        self._api.requests[answer.status] += 1
        headers = Headers(
            {
                "Content-Type": answer.content_type,
                "Content-Length": str(len(answer.body)),
                "Connection": "close",
                "Cache-Control": "no-store",
                **answer.headers,
            }
        )
        return Response(answer.status, HTTPStatus(answer.status).phrase, headers, answer.body)

    # WebSockets

    async def _serve(self, connection: ServerConnection) -> None:
        assert isinstance(connection, _Connection)
        assert connection.accepted is not None
        hub, query = connection.accepted.hub, connection.accepted.query
        wake = asyncio.Event()
        host, port, *_ = connection.remote_address or ("", 0)
        viewer = hub.open(query, self._clock(), wake=wake.set, peer=f"{host}:{port}")
        self._viewers += 1
        link = _Link(connection, viewer, wake, self._clock, self._send_deadline_s)
        try:
            await link.run()
        except ConnectionClosed:
            pass
        except TimeoutError:
            _LOG.info("%s: a viewer (%s) reads too slowly", hub.group.name, viewer.peer)
            hub.tallies.too_slow += 1
            hub.close(viewer)
            await _cut_off(connection)
        except ForwarderError as error:
            self._on_error(error)
        finally:
            self._viewers -= 1
            hub.close(viewer)


async def _cut_off(connection: _Connection) -> None:
    """Close with 4008, which who reads on at last still hears; whoever does not is aborted."""
    with suppress(TimeoutError, ConnectionClosed):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await connection.close(CLOSE_TOO_SLOW, CLOSE_REASONS[CLOSE_TOO_SLOW])
    connection.transport.abort()


class _Link:
    """One viewer's connection joined to its session."""

    def __init__(
        self,
        connection: _Connection,
        viewer: Viewer,
        wake: asyncio.Event,
        clock: Callable[[], int],
        send_deadline_s: float,
    ) -> None:
        self._connection = connection
        self._viewer = viewer
        self._session = viewer.session
        self._wake = wake
        self._clock = clock
        self._send_deadline_s = send_deadline_s
        self._is_gone = False
        self._fetching: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until the viewer goes or has to go.

        Raises:
            ConnectionClosed: it went.
            TimeoutError: it did not take a frame in time.
            ForwarderError: the journal can't be read any more.

        """
        reading = asyncio.create_task(self._read())
        try:
            await self._fetch_before_welcome()
            await self._write()
        finally:
            tasks = [reading] if self._fetching is None else [reading, self._fetching]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> None:
        session = self._session
        try:
            while True:
                session.receive(decode_client(await self._connection.receive()))
                self._wake.set()
        except ConnectionClosed as closed:
            is_bad_message = closed.sent is not None and closed.sent.code == CLOSE_BAD_MESSAGE
            self._viewer.hub.tallies.bad_messages += is_bad_message
            self._is_gone = True
        except WireError as error:
            self._viewer.hub.tallies.bad_messages += 1
            session.bye(str(error), code=CLOSE_BAD_MESSAGE)
        self._wake.set()

    async def _write(self) -> None:
        session = self._session
        while not self._is_gone:
            self._wake.clear()
            message = session.next(self._clock())
            if message is None:
                self._viewer.hub.idle(self._viewer)
                self._fetch_bodies()
                await self._wait()
                continue
            frame = session.encoded(message)
            self._viewer.bytes_sent += len(frame)
            async with asyncio.timeout(self._send_deadline_s):
                await self._connection.send(frame, text=True)
            if session.is_over:
                await self._close()
                return
            # A send that the kernel takes at once does not let others go between.
            await asyncio.sleep(0)

    async def _wait(self) -> None:
        """Until there may be something to send, or it is time to say that there is not."""
        session = self._session
        wait_ms = min(session.wake_at_ms - self._clock(), session.heartbeat_ms)
        if wait_ms <= 0:
            await asyncio.sleep(0)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_ms / 1000):
                await self._wake.wait()

    async def _close(self) -> None:
        code = self._session.close_code or CLOSE_SHUTTING_DOWN
        reason = CLOSE_REASONS.get(code, "").encode()[:_REASON_BYTES_MAX].decode()
        await self._connection.close(code, reason)

    async def _fetch_before_welcome(self) -> None:
        needed = self._session.wants_bodies
        if needed is not None:
            deadline_ms = self._clock() + REFETCH_BEFORE_WELCOME_MS
            await self._viewer.hub.feed.refetch(*needed, deadline_ms)

    def _fetch_bodies(self) -> None:
        """Have bodies fetched that the session has met without; it stalls nobody else."""
        needed = self._session.wants_bodies
        if needed is None or (self._fetching is not None and not self._fetching.done()):
            return
        if self._fetching is not None:
            self._fetching.result()
        self._fetching = asyncio.create_task(self._fetch(needed))

    async def _fetch(self, needed: tuple[int, int]) -> None:
        refetch = self._viewer.hub.feed.refetch
        if not await refetch(*needed, self._clock() + REFETCH_MS):
            await asyncio.sleep(REFETCH_PAUSE_S)
        self._wake.set()
