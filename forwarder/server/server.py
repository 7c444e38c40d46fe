"""The socket side: WebSockets and HTTP on one port. No decisions: sessions and ``Api`` make them.

Each connection pulls from its session (``Link``); who is let in at all is the ``Guard``'s to say.

One viewer's connection joined to its session: reads, pulls, sends, and fetches bodies.

Each send has a deadline of its own: the library's keepalive does not notice a reader that has
stalled, and its ``broadcast`` queues without limit.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from forwarder.config import (
    ANSWER_S,
    ASKS_BURST,
    ASKS_PER_S,
    CLOSE_S,
    HANDSHAKE_S,
    LARGE_ANSWER_BYTES,
    LARGE_ANSWERS_MAX,
    SEND_S,
    STOP_S,
    Limits,
)
from forwarder.delivery.hub import Viewer
from forwarder.errors import ForwarderError, RequestError
from forwarder.server.admission import RETRY_S, Bucket, Guard, Reason
from forwarder.server.api import (
    ALIVE_PATH,
    LOGS_PATH,
    TAIL_PATH,
    Accepted,
    Answer,
    Api,
    Steps,
    refused,
    split,
)
from forwarder.server.connection import (
    LIBRARY_LOG,
    WRITE_LIMIT,
    Connection,
    Listener,
    is_rebound,
    listeners,
)
from wire.codec import decode_client
from wire.errors import WireError
from wire.limits import (
    CLOSE_BAD_MESSAGE,
    CLOSE_GROUP_DENIED,
    CLOSE_RATE_LIMITED,
    CLOSE_REASONS,
    CLOSE_SHUTTING_DOWN,
    CLOSE_TOKEN,
    CLOSE_TOO_SLOW,
)
from wire.messages import Credit

REFETCH_BEFORE_WELCOME_MS: Final = 5_000
"""How long ``welcome`` waits for bodies, so that it can say what is lost."""

REFETCH_MS: Final = 30_000
REFETCH_PAUSE_S: Final = 1.0
"""Of bodies that turn out to be missing later, one attempt and the pause before the next."""

RETRY_AFTER_MS: Final = 1_000
"""What a viewer that asks too much is told to wait."""

_REASON_BYTES_MAX: Final = 120

_REASONS: Final[dict[int, Reason]] = {
    CLOSE_BAD_MESSAGE: "bad_message",
    CLOSE_RATE_LIMITED: "rate",
    CLOSE_TOKEN: "revoked",
    CLOSE_GROUP_DENIED: "revoked",
}
"""How the metrics call it when a session closes for that."""


class Link:
    """One viewer's connection joined to its session."""

    def __init__(
        self,
        connection: Connection,
        viewer: Viewer,
        wake: asyncio.Event,
        clock: Callable[[], int],
        guard: Guard,
        send_deadline_s: float,
    ) -> None:
        """Join them; nothing runs before ``run``.

        Args:
            connection: open.
            viewer: as its hub has made it.
            wake: what the viewer sets when there may be something to send.
            clock: ms since the Unix epoch.
            guard: counts what is refused.
            send_deadline_s: how long one send may take.

        """
        self._connection = connection
        self._viewer = viewer
        self._session = viewer.session
        self._wake = wake
        self._clock = clock
        self._guard = guard
        self._send_deadline_s = send_deadline_s
        self._is_gone = False
        self._fetching: asyncio.Task[None] | None = None
        self._asks: Bucket | None = None

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

    async def cut_off(self) -> None:
        """Close with 4008, which who reads on at last still hears; whoever does not is aborted."""
        connection = self._connection
        with suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(CLOSE_S):
                await connection.flush()
                await connection.close(CLOSE_TOO_SLOW, CLOSE_REASONS[CLOSE_TOO_SLOW])
        connection.transport.abort()

    # What comes

    async def _read(self) -> None:
        try:
            while True:
                self._receive(await self._connection.receive())
                self._wake.set()
        except ConnectionClosed as closed:
            # A frame that is no message by its kind or size is refused before anybody sees it.
            if closed.sent is not None and closed.sent.code == CLOSE_BAD_MESSAGE:
                self._count(CLOSE_BAD_MESSAGE)
            self._is_gone = True
        except WireError as error:
            self._bye(str(error), CLOSE_BAD_MESSAGE)
        self._wake.set()

    def _receive(self, data: bytes) -> None:
        message = decode_client(data)
        if not isinstance(message, Credit) and not self._may_ask():
            self._bye("too many requests", CLOSE_RATE_LIMITED)
            return
        self._session.receive(message)

    def _may_ask(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        if self._asks is None:
            self._asks = Bucket(ASKS_PER_S, ASKS_BURST, now_s)
        return self._asks.take(now_s)

    def _bye(self, reason: str, code: int) -> None:
        retry_after_ms = RETRY_AFTER_MS if code == CLOSE_RATE_LIMITED else 0
        self._session.bye(reason, code=code, retry_after_ms=retry_after_ms)

    def _count(self, code: int) -> None:
        """We close the connection for a reason that the metrics know."""
        self._viewer.hub.counts.bad_messages += code == CLOSE_BAD_MESSAGE
        reason = _REASONS.get(code)
        if reason is not None:
            self._guard.refused[reason] += 1

    # What goes

    async def _write(self) -> None:
        session, connection = self._session, self._connection
        while not self._is_gone:
            self._wake.clear()
            message = session.next(self._clock())
            if message is None:
                self._viewer.hub.release_history(self._viewer)
                self._fetch_bodies()
                await self._wait()
                continue
            parts = session.encode_parts(message)
            self._viewer.bytes_sent += sum(map(len, parts))
            if not connection.begin(parts):
                async with asyncio.timeout(self._send_deadline_s):
                    await connection.flush()
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
        self._count(code)
        reason = CLOSE_REASONS.get(code, "").encode()[:_REASON_BYTES_MAX].decode()
        await self._connection.close(code, reason)

    # Bodies that retention took

    async def _fetch_before_welcome(self) -> None:
        needed = self._session.missing_bodies
        if needed is not None:
            deadline_ms = self._clock() + REFETCH_BEFORE_WELCOME_MS
            await self._viewer.hub.feed.refetch(*needed, deadline_ms)

    def _fetch_bodies(self) -> None:
        """Have bodies fetched that the session has met without; it stalls nobody else."""
        needed = self._session.missing_bodies
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


_LOG: Final = logging.getLogger("gapless.forwarder")


class Server:
    """Serves an ``Api`` and its hubs on one address."""

    def __init__(
        self,
        api: Api,
        *,
        clock: Callable[[], int],
        on_error: Callable[[ForwarderError], None],
        limits: Limits | None = None,
        sockets_max: int | None = None,
        send_deadline_s: float = SEND_S,
    ) -> None:
        """Make a server that does not listen yet.

        Args:
            api: answers, and says who may connect.
            clock: ms since the Unix epoch.
            on_error: told of what a connection can't go on with, a broken journal for one.
            limits: how much is let in.
            sockets_max: a lower bound of the process, its file descriptors for one.
            send_deadline_s: how long one send may take.

        """
        self._api = api
        self._clock = clock
        self._on_error = on_error
        self._limits = limits or Limits()
        self._send_deadline_s = send_deadline_s
        self.guard = Guard(self._limits, sockets_max=sockets_max)
        api.refused = self.guard.refused
        self._connections: set[Connection] = set()
        self._listeners: list[Listener] = []
        self._servers: list[WebSocketServer] = []
        self._viewers = 0
        self._large_answers = asyncio.Semaphore(LARGE_ANSWERS_MAX)

    async def bind(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Take the address, without accepting anybody yet.

        Raises:
            OSError: the address can't be had.

        """
        self._listeners = listeners(host, port, self.guard)

        class Ours(Connection):
            guard = self.guard
            connections = self._connections

        for listener in self._listeners:
            server = await serve(
                self._serve,
                sock=listener,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else HANDSHAKE_S,
                ssl_shutdown_timeout=None if tls is None else CLOSE_S,
                process_request=self._process_request,
                # Web pages of others must not read logs through the browser of who runs this.
                origins=None if self._api.asks_for_token else [None],
                compression=None,
                open_timeout=HANDSHAKE_S + ANSWER_S,
                close_timeout=CLOSE_S,
                write_limit=WRITE_LIMIT,
                logger=LIBRARY_LOG,
                create_connection=Ours,
                start_serving=False,
            )
            self._servers.append(server)

    async def accept(self) -> None:
        """Begin to accept connections.

        Raises:
            OSError: somebody else listens there.

        """
        for server in self._servers:
            await server.start_serving()

    @property
    def port(self) -> int:
        """The port that was taken."""
        port: int = self._listeners[0].getsockname()[1]
        return port

    async def stop(self, reason: str) -> None:
        """Say ``bye`` to everybody, close with 4001, and cut off who does not go."""
        for server in self._servers:
            server.close(close_connections=False)
        self._api.bye(reason)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self._closed()
        for connection in list(self._connections):
            connection.transport.abort()
        await self._closed()

    async def _closed(self) -> None:
        for server in self._servers:
            await server.wait_closed()

    def tokens_changed(self) -> None:
        """Other tokens are valid now: viewers whose own is not among them are sent away."""
        self.guard.guesses.forget()
        self._api.tokens_changed()

    # HTTP

    async def _process_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """A viewer's upgrade goes through; everything else is answered, and that is it."""
        assert isinstance(connection, Connection)
        given = request.headers.get_all("Authorization")
        authorization = given[0] if len(given) == 1 else None
        refusal = self._refusal(connection, request, authorization)
        refusal = refusal or self._too_often(connection, request)
        if refusal is not None:
            return self._response(refused(refusal))
        if _is_upgrade(request):
            accepted = self._api.accept(request.path, authorization)
            if isinstance(accepted, Accepted) and self._viewers >= self._limits.viewers_max:
                accepted = self._too_many_viewers()
            if isinstance(accepted, Accepted):
                self._note_token(connection, authorization, HTTPStatus.OK)
                connection.accepted = accepted
                return None
            return self._response(self._noted(connection, authorization, accepted))
        answer = await self._answer(connection, request, authorization)
        return self._response(self._noted(connection, authorization, answer))

    def _refusal(
        self, connection: Connection, request: Request, authorization: str | None
    ) -> RequestError | None:
        """Why a request is not looked at any further, if it is not."""
        if connection.refusal is not None:
            # Whoever watches over this process must not take a full one for a dead one.
            return None if request.path == ALIVE_PATH else connection.refusal
        if not self._api.asks_for_token:
            if not is_rebound(request):
                return None
            self.guard.refused["origin"] += 1
            text = "dial this forwarder by its address (a name may belong to a web page of others)"
            return RequestError(HTTPStatus.FORBIDDEN, text)
        now_s = connection.loop.time()
        refusal = self.guard.guesses.refusal(connection.address, authorization, now_s)
        self.guard.refused["guesses"] += refusal is not None
        return refusal

    def _too_often(self, connection: Connection, request: Request) -> RequestError | None:
        """Why a request is one too many; those to connect are bounded by their connections."""
        if _is_upgrade(request) or split(request.path)[0] == ALIVE_PATH:
            return None
        return self.guard.too_often(connection.address, connection.loop.time())

    def _noted(self, connection: Connection, authorization: str | None, answer: Answer) -> Answer:
        self._note_token(connection, authorization, answer.status)
        return answer

    def _note_token(self, connection: Connection, authorization: str | None, status: int) -> None:
        if status == HTTPStatus.UNAUTHORIZED:
            self.guard.refused["token"] += 1
            if authorization is not None:
                self.guard.guesses.failed(connection.address, connection.loop.time())
            return
        self.guard.refused["denied"] += status == HTTPStatus.FORBIDDEN
        if authorization is not None and self._api.knows(authorization):
            self.guard.guesses.passed(connection.address, authorization)

    def _too_many_viewers(self) -> Answer:
        self.guard.refused["viewers"] += 1
        text = f"{self._limits.viewers_max} viewers are connected already: come back later"
        return refused(RequestError(HTTPStatus.SERVICE_UNAVAILABLE, text, retry_after_s=RETRY_S))

    async def _answer(
        self, connection: Connection, request: Request, authorization: str | None
    ) -> Answer:
        """The answer, once there is room for it: a large one waits in memory until it is read."""
        steps = self._api.answer(request.method, request.path, authorization, self._clock())
        if split(request.path)[0] != LOGS_PATH:
            return await self._drive(steps)
        try:
            async with asyncio.timeout(ANSWER_S / 2):
                await self._large_answers.acquire()
        except TimeoutError:
            text = f"{LARGE_ANSWERS_MAX} large answers are being read already: come back later"
            return refused(
                RequestError(HTTPStatus.SERVICE_UNAVAILABLE, text, retry_after_s=RETRY_S)
            )
        is_large = False
        try:
            answer = await self._drive(steps)
            is_large = len(answer.body) >= LARGE_ANSWER_BYTES
            return answer
        finally:
            if is_large:
                connection.when_lost(self._large_answers.release)
            else:
                self._large_answers.release()

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
            return refused(RequestError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)))

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
        assert isinstance(connection, Connection)
        accepted = connection.accepted
        assert accepted is not None
        # Headers are not needed any more, and are a fifth of what an idle viewer takes.
        connection.request, connection.response = Request("", Headers()), None
        hub = accepted.hub
        wake = asyncio.Event()
        host, port, *_ = connection.remote_address or ("", 0)
        viewer = hub.open(
            accepted.query,
            self._clock(),
            wake=wake.set,
            peer=f"{host}:{port}",
            token_verdict=accepted.verdict,
        )
        self._viewers += 1
        link = Link(connection, viewer, wake, self._clock, self.guard, self._send_deadline_s)
        try:
            await link.run()
        except ConnectionClosed:
            pass
        except TimeoutError:
            _LOG.info("%s: a viewer (%s) reads too slowly", hub.group.name, viewer.peer)
            hub.counts.too_slow += 1
            self.guard.refused["too_slow"] += 1
            hub.close(viewer)
            await link.cut_off()
        except ForwarderError as error:
            self._on_error(error)
        finally:
            self._viewers -= 1
            hub.close(viewer)


def _is_upgrade(request: Request) -> bool:
    """Whether a viewer wants to connect."""
    upgrade = ",".join(request.headers.get_all("Upgrade")).lower()
    return "websocket" in upgrade and split(request.path)[0] == TAIL_PATH
