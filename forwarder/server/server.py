"""The socket side: WebSockets and HTTP on one port. No decisions: sessions and ``Api`` make them.

Each connection pulls from its session (``Link``); who is let in at all is the ``Guard``'s to say.
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

from forwarder.errors import ForwarderError
from forwarder.limits import (
    ANSWER_S,
    CLOSE_S,
    HANDSHAKE_S,
    LARGE_ANSWER_BYTES,
    LARGE_ANSWERS_MAX,
    SEND_S,
    STOP_S,
    Limits,
)
from forwarder.server.admission import RETRY_S, Guard
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
from forwarder.server.connection import LIBRARY_LOG, WRITE_LIMIT, Connection, is_rebound
from forwarder.server.link import REFETCH_BEFORE_WELCOME_MS, Link
from forwarder.server.listener import Listener, listeners
from forwarder.server.log_pages import Refusal

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
    ) -> Refusal | None:
        """Why a request is not looked at any further, if it is not."""
        if connection.refusal is not None:
            # Whoever watches over this process must not take a full one for a dead one.
            return None if request.path == ALIVE_PATH else connection.refusal
        if not self._api.asks_for_token:
            if not is_rebound(request):
                return None
            self.guard.refused["origin"] += 1
            text = "dial this forwarder by its address (a name may belong to a web page of others)"
            return Refusal(HTTPStatus.FORBIDDEN, text)
        now_s = connection.loop.time()
        refusal = self.guard.guesses.refusal(connection.address, authorization, now_s)
        self.guard.refused["guesses"] += refusal is not None
        return refusal

    def _too_often(self, connection: Connection, request: Request) -> Refusal | None:
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
        return refused(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text, retry_after_s=RETRY_S))

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
            return refused(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text, retry_after_s=RETRY_S))
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
        assert isinstance(connection, Connection)
        accepted = connection.accepted
        assert accepted is not None
        # Headers are not needed any more, and are a fifth of what an idle viewer takes.
        connection.request, connection.response = Request("", Headers()), None
        hub = accepted.hub
        wake = asyncio.Event()
        host, port, *_ = connection.remote_address or ("", 0)
        viewer = hub.open(accepted.query, self._clock(), wake=wake.set, peer=f"{host}:{port}")
        viewer.verdict = accepted.verdict
        self._viewers += 1
        link = Link(connection, viewer, wake, self._clock, self.guard, self._send_deadline_s)
        try:
            await link.run()
        except ConnectionClosed:
            pass
        except TimeoutError:
            _LOG.info("%s: a viewer (%s) reads too slowly", hub.group.name, viewer.peer)
            hub.tallies.too_slow += 1
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
