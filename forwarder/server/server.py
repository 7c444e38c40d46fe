"""The server: WebSockets and HTTP on one port.

It acts; sessions, ``Api`` and ``Admission`` decide.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeVar, cast

from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from common.ranges import Range
from forwarder.config import (
    ANSWER_S,
    ASKS_BURST,
    ASKS_PER_S,
    CLOSE_S,
    HANDSHAKE_S,
    LARGE_ANSWER_BYTES,
    LARGE_ANSWERS_MAX,
    MESSAGE_BYTES_MAX,
    SEND_S,
    STOP_S,
)
from forwarder.delivery.hub import ConnectedViewer, Hub
from forwarder.errors import ForwarderError, RequestError
from forwarder.records import FeedKey
from forwarder.server.admission import RETRY_S, Admission, RefusalReason, TokenBucket
from forwarder.server.api import (
    ALIVE_PATH,
    LOGS_PATH,
    TAIL_PATH,
    AcceptedViewer,
    Api,
    ApiResponse,
    CatchUpRequest,
    GroupRequest,
    ListingRequest,
    StepRequest,
    error_response,
    split_target,
)
from forwarder.server.connection import (
    LIBRARY_LOG,
    WRITE_LIMIT,
    ListeningSocket,
    ServedConnection,
    bind_sockets,
)
from forwarder.server.log_pages import BodyRequest
from forwarder.server.origins import OriginPolicy
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
"""How long ``welcome`` waits for missing bodies, so that it can declare what is lost."""

REFETCH_MS: Final = 30_000
"""Timeout of one attempt to fetch bodies that turn out to be missing later."""

REFETCH_PAUSE_S: Final = 1.0
"""Pause after a failed attempt."""

RETRY_AFTER_MS: Final = 1_000
"""Wait that ``bye`` names to a viewer that sends too many requests."""

_REASON_BYTES_MAX: Final = 120

_REFUSAL_REASONS: Final[dict[int, RefusalReason]] = {
    CLOSE_BAD_MESSAGE: "bad_message",
    CLOSE_RATE_LIMITED: "rate",
    CLOSE_TOKEN: "revoked",
    CLOSE_GROUP_DENIED: "revoked",
}
"""Reason in the metrics for each close code."""

_LOG: Final = logging.getLogger("gapless.forwarder")

_Result = TypeVar("_Result")


class GroupSource(Protocol):
    """Starts log groups that are not served yet, and lists those of the account.

    A Protocol because tests serve hubs without CloudWatch.
    """

    async def acquire(self, key: FeedKey, is_covered: Callable[[str], bool]) -> Hub:
        """Return a feed's hub; starts its feed if needed.

        Args:
            key: The feed; its log group may be an ARN.
            is_covered: Whether the client may read a log group.

        Raises:
            RequestError: it can't be served; the text says why.
        """

    async def match(self, patterns: Iterable[str]) -> Sequence[object]:
        """List the log groups that match.

        Raises:
            RequestError: they can't be listed; the text says why.
        """


class SessionRunner:
    """Runs one viewer's session over its connection: reads, sends, and fetches missing bodies.

    Each send has its own deadline: websockets' keepalive does not notice a stalled reader, and its
    ``broadcast`` queues without limit.
    """

    def __init__(
        self,
        connection: ServedConnection,
        viewer: ConnectedViewer,
        wake: asyncio.Event,
        clock: Callable[[], int],
        admission: Admission,
        send_deadline_s: float,
    ) -> None:
        """Create a runner for an open connection; ``wake`` is set when a message may be due."""
        self._connection = connection
        self._viewer = viewer
        self._session = viewer.session
        self._wake = wake
        self._clock = clock
        self._admission = admission
        self._send_deadline_s = send_deadline_s
        self._is_closed = False
        self._fetching: asyncio.Task[None] | None = None
        self._requests: TokenBucket | None = None

    async def run(self) -> None:
        """Serve the viewer until it disconnects or must be closed.

        Raises:
            ConnectionClosed: The viewer disconnected.
            TimeoutError: The viewer did not read a frame in time.
            ForwarderError: The journal can't be read any more.
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
        """Close with 4008, which a viewer that resumes reading still gets; abort otherwise."""
        connection = self._connection
        with suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(CLOSE_S):
                await connection.flush()
                await connection.close(CLOSE_TOO_SLOW, CLOSE_REASONS[CLOSE_TOO_SLOW])
        connection.transport.abort()

    # Receiving

    async def _read(self) -> None:
        try:
            while True:
                self._receive(await self._connection.receive())
                self._wake.set()
        except ConnectionClosed as closed:
            # The connection itself refuses frames whose type or size no message can have.
            if closed.sent is not None and closed.sent.code == CLOSE_BAD_MESSAGE:
                self._count_close(CLOSE_BAD_MESSAGE)
            self._is_closed = True
        except WireError as error:
            self._bye(str(error), CLOSE_BAD_MESSAGE)
        self._wake.set()

    def _receive(self, data: bytes) -> None:
        message = decode_client(data)
        if not isinstance(message, Credit) and not self._take_request():
            self._bye("too many requests", CLOSE_RATE_LIMITED)
            return
        self._viewer.hub.receive(self._viewer, message)

    def _take_request(self) -> bool:
        """Count a request against the viewer's rate; returns whether it is within the limit."""
        now_s = asyncio.get_running_loop().time()
        if self._requests is None:
            self._requests = TokenBucket(ASKS_PER_S, ASKS_BURST, now_s)
        return self._requests.take(now_s)

    def _bye(self, reason: str, code: int) -> None:
        retry_after_ms = RETRY_AFTER_MS if code == CLOSE_RATE_LIMITED else 0
        self._session.bye(reason, code=code, retry_after_ms=retry_after_ms)

    def _count_close(self, code: int) -> None:
        self._viewer.hub.counts.bad_messages += code == CLOSE_BAD_MESSAGE
        reason = _REFUSAL_REASONS.get(code)
        if reason is not None:
            self._admission.refused[reason] += 1

    # Sending

    async def _write(self) -> None:
        session, connection = self._session, self._connection
        while not self._is_closed:
            self._wake.clear()
            message = session.next(self._clock())
            if message is None:
                self._viewer.hub.release_history(self._viewer)
                self._fetch_bodies()
                await self._wait()
                continue
            parts = session.encode_parts(message)
            self._viewer.bytes_sent += sum(map(len, parts))
            if not connection.begin_message(parts):
                async with asyncio.timeout(self._send_deadline_s):
                    await connection.flush()
            if session.is_over:
                await self._close()
                return
            # A send that the kernel accepts at once does not yield to other tasks by itself.
            await asyncio.sleep(0)

    async def _wait(self) -> None:
        """Wait until there may be something to send, or a heartbeat is due."""
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
        self._count_close(code)
        reason = CLOSE_REASONS.get(code, "").encode()[:_REASON_BYTES_MAX].decode()
        await self._connection.close(code, reason)

    # Bodies that retention removed

    async def _fetch_before_welcome(self) -> None:
        missing = self._session.missing_bodies
        if missing is not None:
            deadline_ms = self._clock() + REFETCH_BEFORE_WELCOME_MS
            await self._viewer.hub.feed.refetch(*missing, deadline_ms)

    def _fetch_bodies(self) -> None:
        """Start to fetch the bodies that the session waits for, unless a fetch is running."""
        missing = self._session.missing_bodies
        if missing is None or (self._fetching is not None and not self._fetching.done()):
            return
        if self._fetching is not None:
            self._fetching.result()
        self._fetching = asyncio.create_task(self._fetch(missing))

    async def _fetch(self, missing: Range) -> None:
        refetch = self._viewer.hub.feed.refetch
        if not await refetch(*missing, self._clock() + REFETCH_MS):
            await asyncio.sleep(REFETCH_PAUSE_S)
        self._wake.set()


class Server:
    """Serves an ``Api`` and its hubs on one address."""

    def __init__(
        self,
        api: Api,
        admission: Admission,
        *,
        clock: Callable[[], int],
        on_error: Callable[[Hub | None, ForwarderError], None],
        groups: GroupSource | None = None,
        send_deadline_s: float = SEND_S,
        allowed_hosts: Collection[str] = (),
    ) -> None:
        """Create a server that does not listen yet.

        Args:
            api: Makes responses and decides which viewers may connect.
            admission: Limits connections and requests.
            clock: Returns ms since the Unix epoch.
            on_error: Called with errors that a connection can't handle, like a broken journal, and
                the hub in question.
            groups: Starts log groups and lists them; None: those of ``api`` are all there are.
            send_deadline_s: How long one send may take.
            allowed_hosts: Hosts that clients may name besides loopback and the bound address.
        """
        self._api = api
        self._admission = admission
        self._clock = clock
        self._on_error = on_error
        self._groups = groups
        self._send_deadline_s = send_deadline_s
        self._allowed_hosts = allowed_hosts
        self._origins = OriginPolicy("127.0.0.1", allowed_hosts)
        self._connections: set[ServedConnection] = set()
        self._sockets: list[ListeningSocket] = []
        self._servers: list[WebSocketServer] = []
        self._large_responses = asyncio.Semaphore(LARGE_ANSWERS_MAX)

    async def bind(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Bind the address without accepting connections yet.

        Raises:
            OSError: The address can't be bound.
        """
        self._sockets = bind_sockets(host, port, self._admission)
        self._origins = OriginPolicy(host, self._allowed_hosts)
        # The library calls it as a factory, whatever its annotation says.
        create_connection = cast(
            "type[ServerConnection]",
            partial(ServedConnection, admission=self._admission, connections=self._connections),
        )
        for listening in self._sockets:
            server = await serve(
                self._serve_viewer,
                sock=listening,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else HANDSHAKE_S,
                ssl_shutdown_timeout=None if tls is None else CLOSE_S,
                process_request=self._process_request,
                compression=None,
                open_timeout=HANDSHAKE_S + ANSWER_S,
                close_timeout=CLOSE_S,
                max_size=MESSAGE_BYTES_MAX,
                write_limit=WRITE_LIMIT,
                logger=LIBRARY_LOG,
                create_connection=create_connection,
                start_serving=False,
            )
            self._servers.append(server)

    async def accept(self) -> None:
        """Start to accept connections.

        Raises:
            OSError: Another process listens on the address.
        """
        for server in self._servers:
            await server.start_serving()

    @property
    def port(self) -> int:
        """The bound port."""
        port: int = self._sockets[0].getsockname()[1]
        return port

    async def stop(self, reason: str) -> None:
        """Send ``bye`` to all viewers, close with 4001, and abort what stays open."""
        for server in self._servers:
            server.close(close_connections=False)
        self._api.bye(reason)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self._wait_closed()
        for connection in list(self._connections):
            connection.transport.abort()
        await self._wait_closed()

    async def _wait_closed(self) -> None:
        for server in self._servers:
            await server.wait_closed()

    def tokens_changed(self) -> None:
        """Close the viewers whose token is no longer valid."""
        self._admission.guesses.forget_accepted()
        self._api.close_revoked()

    # HTTP

    async def _process_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """Let a viewer's upgrade pass (None), and answer every other request."""
        assert isinstance(connection, ServedConnection)
        given = request.headers.get_all("Authorization")
        authorization = given[0] if len(given) == 1 else None
        refusal = self._check_client(connection, request, authorization)
        refusal = refusal or self._check_rate(connection, request)
        if refusal is not None:
            return self._to_library(error_response(refusal), request)
        if _is_upgrade(request):
            result = await self._accept_viewer(request, authorization)
        else:
            result = await self._respond(connection, request, authorization)
        if isinstance(result, AcceptedViewer):
            self._record_token(connection, authorization, HTTPStatus.OK)
            connection.accepted = result
            return None
        self._record_token(connection, authorization, result.status)
        return self._to_library(result, request)

    def _check_client(
        self, connection: ServedConnection, request: Request, authorization: str | None
    ) -> RequestError | None:
        """Return why a request is refused before it is looked at, or None."""
        foreign = self._origins.check(request.headers)
        if foreign is not None:
            reason, refusal = foreign
            self._admission.refused[reason] += 1
            return refusal
        if connection.refusal is not None:
            # A health check must not take a server at its limits for a dead one.
            return None if request.path == ALIVE_PATH else connection.refusal
        if not self._api.needs_token:
            return None
        now_s = connection.loop.time()
        return self._admission.check_guesses(connection.address, authorization, now_s)

    def _check_rate(self, connection: ServedConnection, request: Request) -> RequestError | None:
        """Return why a request exceeds the rate; upgrades are limited by their connections."""
        if _is_upgrade(request) or split_target(request.path)[0] == ALIVE_PATH:
            return None
        return self._admission.check_request(connection.address, connection.loop.time())

    async def _accept_viewer(
        self, request: Request, authorization: str | None
    ) -> AcceptedViewer | ApiResponse:
        accepted = await self._run_steps(self._api.accept(request.path, authorization))
        if isinstance(accepted, AcceptedViewer):
            refusal = self._admission.check_viewers()
            return accepted if refusal is None else error_response(refusal)
        return accepted

    def _record_token(
        self, connection: ServedConnection, authorization: str | None, status: int
    ) -> None:
        """Count a wrong token, or exempt an accepted one from the limit on wrong ones."""
        admission = self._admission
        if status == HTTPStatus.UNAUTHORIZED:
            admission.refused["token"] += 1
            if authorization is not None:
                admission.guesses.record_wrong(connection.address, connection.loop.time())
            return
        admission.refused["denied"] += status == HTTPStatus.FORBIDDEN
        if authorization is not None and self._api.has_valid_token(authorization):
            admission.guesses.record_accepted(connection.address, authorization)

    async def _respond(
        self, connection: ServedConnection, request: Request, authorization: str | None
    ) -> ApiResponse:
        """Make a response; large ones are limited, as they stay in memory until they are read."""
        steps = self._api.respond(request.method, request.path, authorization, self._clock())
        if split_target(request.path)[0] != LOGS_PATH:
            return await self._run_steps(steps)
        try:
            async with asyncio.timeout(ANSWER_S / 2):
                await self._large_responses.acquire()
        except TimeoutError:
            text = f"{LARGE_ANSWERS_MAX} large responses are being read already: retry later"
            return error_response(
                RequestError(HTTPStatus.SERVICE_UNAVAILABLE, text, retry_after_s=RETRY_S)
            )
        is_large = False
        try:
            response = await self._run_steps(steps)
            is_large = len(response.body) >= LARGE_ANSWER_BYTES
            return response
        finally:
            if is_large:
                connection.when_lost(self._large_responses.release)
            else:
                self._large_responses.release()

    async def _run_steps(
        self, steps: Generator[StepRequest | None, Any, _Result]
    ) -> _Result | ApiResponse:
        """Run the steps of a response, yield to other tasks, and do what the steps ask for."""
        hub: Hub | None = None
        try:
            needed = next(steps)
            while True:
                if isinstance(needed, BodyRequest):
                    hub = needed.hub
                try:
                    answer = await self._fulfil(needed)
                except RequestError as error:
                    needed = steps.throw(error)
                else:
                    hub = answer if isinstance(answer, Hub) else hub
                    needed = steps.send(answer)
        except StopIteration as done:
            result: _Result = done.value
            return result
        except ForwarderError as error:
            self._on_error(hub, error)
            return error_response(RequestError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)))

    async def _fulfil(self, needed: StepRequest | None) -> object:
        """Do what the steps of a response ask for; returns the answer.

        Raises:
            RequestError: it is not possible; the text says why.
        """
        if isinstance(needed, BodyRequest):
            deadline_ms = self._clock() + REFETCH_BEFORE_WELCOME_MS
            await needed.hub.feed.refetch(needed.from_, needed.through, deadline_ms)
        elif isinstance(needed, CatchUpRequest):
            assert needed.hub.catch_up is not None, "otherwise nothing has to be caught up with"
            return await needed.hub.catch_up()
        elif isinstance(needed, GroupRequest):
            assert self._groups is not None, "otherwise no other log group may be served"
            return await self._groups.acquire(needed.key, needed.is_covered)
        elif isinstance(needed, ListingRequest):
            return [] if self._groups is None else await self._groups.match(needed.patterns)
        else:
            await asyncio.sleep(0)
        return None

    def _to_library(self, response: ApiResponse, request: Request) -> Response:
        self._api.responses[response.status] += 1
        headers = Headers(
            {
                "Content-Type": response.content_type,
                "Content-Length": str(len(response.body)),
                "Connection": "close",
                "Cache-Control": "no-store",
                **response.headers,
            }
        )
        phrase = HTTPStatus(response.status).phrase
        # RFC 9110, 9.3.2: a client takes a body after HEAD for the next response.
        body = b"" if request.method == "HEAD" else response.body
        return Response(response.status, phrase, headers, body)

    # WebSockets

    async def _serve_viewer(self, connection: ServerConnection) -> None:
        assert isinstance(connection, ServedConnection)
        accepted = connection.accepted
        assert accepted is not None
        # The headers are a fifth of an idle viewer's memory, and nothing needs them any more.
        connection.request, connection.response = Request("", Headers()), None
        hub, admission = accepted.hub, self._admission
        wake = asyncio.Event()
        host, port, *_ = connection.remote_address or ("", 0)
        viewer = hub.open(
            accepted.query,
            self._clock(),
            wake=wake.set,
            peer=f"{host}:{port}",
            token_verdict=accepted.token_verdict,
        )
        admission.viewers += 1
        runner = SessionRunner(
            connection, viewer, wake, self._clock, admission, self._send_deadline_s
        )
        try:
            await runner.run()
        except ConnectionClosed:
            pass
        except TimeoutError:
            _LOG.info("%s: viewer %s reads too slowly", hub.group.name, viewer.peer)
            hub.counts.too_slow += 1
            admission.refused["too_slow"] += 1
            hub.close(viewer)
            await runner.cut_off()
        except ForwarderError as error:
            self._on_error(hub, error)
        finally:
            admission.viewers -= 1
            hub.close(viewer)


def _is_upgrade(request: Request) -> bool:
    """Whether a request is a viewer's WebSocket upgrade."""
    # RFC 6455, 4.1; and by RFC 9110, 7.8, a server ignores the header Upgrade in HTTP/1.0.
    may_upgrade = (request.method, request.protocol) == ("GET", "HTTP/1.1")
    upgrade = ",".join(request.headers.get_all("Upgrade")).lower()
    return may_upgrade and "websocket" in upgrade and split_target(request.path)[0] == TAIL_PATH
