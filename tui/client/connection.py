"""Connections to one forwarder: the WebSocket with its reconnects, and HTTP GET beside it.

A shell: the session decides what to send and when to close, and callbacks get its effects.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from common.concurrency import Backoff, in_thread, wait_and_clear
from common.errors import GaplessError
from common.http import HttpClient, HttpFailure, Response
from common.network_errors import describe_network_error
from tui.client.session import ViewerSession
from tui.client.status import CloseConnection, Effect, SendMessage, Welcomed
from wire.codec import decode_body, decode_server, encode
from wire.errors import WireError
from wire.limits import (
    CLIENT_FRAME_BYTES_MAX,
    CLOSE_RATE_LIMITED,
    CLOSE_REASONS,
    forbids_reconnect,
)
from wire.messages import HttpError

TAIL_PATH: Final = "/v1/tail"
_HTTP: Final = {"ws": "http", "wss": "https"}
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


TokenSource = str | Callable[[], str | None] | None
"""A bearer token; a function where a restarted forwarder may require another one."""


class Address(msgspec.Struct, frozen=True):
    """A forwarder's ``ws://`` or ``wss://`` URL, and the token that it requires.

    The URL's path is that of ``/v1/tail``, or empty; its query is part of every request.
    """

    url: str
    token: TokenSource = None

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the next request.

        Raises:
            GaplessError: The token cannot be read.
        """
        token = self.token() if callable(self.token) else self.token
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    @property
    def is_loopback(self) -> bool:
        """Whether the forwarder is on this machine: no compression or proxy is needed."""
        return urlsplit(self.url).hostname in _LOOPBACK

    def websocket_url(self, query: str) -> str:
        """Return the URL of a WebSocket with these parameters."""
        parts = urlsplit(self.url)
        path = TAIL_PATH if parts.path in ("", "/") else parts.path
        return urlunsplit((parts.scheme, parts.netloc, path, _join(parts.query, query), ""))

    def http_url(self, target: str) -> str:
        """Return the URL of an HTTP path with its query."""
        parts = urlsplit(self.url)
        path, _, query = target.partition("?")
        path = parts.path.removesuffix(TAIL_PATH).rstrip("/") + path
        scheme = _HTTP.get(parts.scheme, parts.scheme)
        return urlunsplit((scheme, parts.netloc, path, _join(parts.query, query), ""))


def _join(one: str, other: str) -> str:
    return "&".join(part for part in (one, other) if part)


OPEN_S: Final = 10
"""Timeout of the handshake."""

CLOSE_S: Final = 0.5
"""Timeout of the close handshake: messages that still come are of an old generation."""

RECONNECT_FIRST_MS: Final = 250
"""Longest first wait: most disconnections are over at once."""

RECONNECT_MAX_MS: Final = 15_000
"""Longest later wait, so the longest that a forwarder's restart goes unnoticed."""

WATCHED_RECONNECT_MAX_MS: Final = 3_000
"""Longest later wait while someone is watching the screen."""

LIVE_RESET_MS: Final = 10_000
"""A connection that was live this long resets the backoff."""

SEND_S: Final = 10
"""Timeout of a send; the viewer's messages are small."""

GRACE_S: Final = 0.1
"""Extra wait for a message that came while this process was busy, before silence counts."""

RETRY_AFTER_MAX_MS: Final = 60_000
"""Longest wait that a forwarder may ask for."""

RETRY_AFTER_SPREAD: Final = 0.5
"""Most that is added to that wait, as a share of it: viewers must not come back all at once."""

CONNECT_S: Final = 3
"""Timeout of an HTTP connection."""

READ_S: Final = 10
"""Timeout for more of an HTTP response."""

_REFUSALS: Final = frozenset({400, 401, 403, 404, 414})
"""HTTP statuses after which the same request can never succeed."""


class Disconnection(msgspec.Struct, frozen=True):
    """How a connection attempt ended."""

    reason: str
    code: int | None = None
    """The close code; None without a close frame."""
    final: bool = False
    """Whether not to reconnect."""
    is_cut: bool = False
    """Whether the connection was open, and the forwarder or the network closed it."""
    is_refused: bool = False
    """Whether a server answered but refused the upgrade, as a middlebox may."""
    retry_after_ms: int = 0
    live_ms: int = 0


class ForwarderConnection:
    """The WebSocket connections of one target, one after another, which feed its session.

    Args:
        on_attempt: Called with the attempt's number as it begins.
        on_effects: Called with the effects of each message.
        on_malformed: Called with the reason why a message could not be decoded.
        on_end: Called with the end of each attempt and the wait before the next one, ms.
        wait_until_ready: Lets other tasks run, and waits until more lines can be processed.
        now_ms: A monotonic clock.
        rng: Source of the jitter.
        is_watched: Whether someone watches a screen, who should not wait for long.
    """

    def __init__(  # noqa: PLR0913 - one callback for each event
        self,
        session: ViewerSession,
        address: Address,
        *,
        on_attempt: Callable[[int], None],
        on_effects: Callable[[list[Effect]], None],
        on_malformed: Callable[[str], None],
        on_end: Callable[[Disconnection, int], None],
        wait_until_ready: Callable[[], Awaitable[None]],
        now_ms: Callable[[], int],
        rng: random.Random,
        is_watched: bool = False,
    ) -> None:
        self._is_watched = is_watched
        self._session = session
        self._address = address
        self._on_attempt = on_attempt
        self._on_effects = on_effects
        self._on_malformed = on_malformed
        self._on_end = on_end
        self._wait_until_ready = wait_until_ready
        self._now_ms = now_ms
        self._rng = rng
        self._retry = asyncio.Event()
        self._websocket: ClientConnection | None = None

    async def run(self) -> None:
        """Connect and reconnect until an end is final, or until cancelled."""
        longest_ms = WATCHED_RECONNECT_MAX_MS if self._is_watched else RECONNECT_MAX_MS
        backoff = Backoff(RECONNECT_FIRST_MS, longest_ms, self._rng.random)
        attempt = 0
        while True:
            attempt += 1
            self._retry.clear()
            self._on_attempt(attempt)
            end = await self._connect_once()
            self._session.connection_closed()
            if end.live_ms >= LIVE_RESET_MS:
                backoff.reset()
                attempt = 0
            wait_ms = 0 if end.final else max(backoff.count_failure(), self._asked_wait_ms(end))
            self._on_end(end, wait_ms)
            if end.final:
                return
            await wait_and_clear(self._retry, wait_ms / 1000)

    def reconnect_now(self) -> None:
        """Abort the wait or the open connection, and connect again."""
        self._retry.set()
        websocket = self._websocket
        if websocket is not None:
            websocket.transport.abort()

    async def send_messages(self, effects: list[Effect]) -> None:
        """Send the messages among effects that polling caused, if a connection is open."""
        websocket = self._websocket
        if websocket is None:
            return
        try:
            await self._send(websocket, effects)
        except (ConnectionClosed, TimeoutError):
            websocket.transport.abort()

    def _asked_wait_ms(self, end: Disconnection) -> int:
        """The wait that the forwarder asked for, spread at random.

        On a screen it is capped, except for a viewer that made too many requests.
        """
        jitter = self._rng.random()
        wait_ms = int(end.retry_after_ms * (1 + RETRY_AFTER_SPREAD * jitter))
        is_capped = self._is_watched and end.code != CLOSE_RATE_LIMITED
        if is_capped and wait_ms > WATCHED_RECONNECT_MAX_MS:
            return int(WATCHED_RECONNECT_MAX_MS * (0.5 + jitter / 2))
        return wait_ms

    async def _connect_once(self) -> Disconnection:
        query = self._session.begin_attempt()
        try:
            return await self._connect(query.encode(), self._address.headers)
        except GaplessError as error:
            return Disconnection(str(error), final=True)

    async def _connect(self, query: str, headers: dict[str, str]) -> Disconnection:
        loopback = self._address.is_loopback
        try:
            websocket = await connect(
                self._address.websocket_url(query),
                additional_headers=headers,
                open_timeout=OPEN_S,
                close_timeout=CLOSE_S,
                ping_interval=None,  # the protocol has heartbeats of its own
                max_size=CLIENT_FRAME_BYTES_MAX,
                compression=None if loopback else "deflate",
                proxy=None if loopback else True,
            )
        except InvalidStatus as error:
            is_unauthorized = error.response.status_code == HTTPStatus.UNAUTHORIZED
            if is_unauthorized and self._address.headers != headers:
                return Disconnection("the forwarder was restarted and requires another token")
            return _refusal(error)
        except TimeoutError:
            return Disconnection(f"no answer within {OPEN_S} s")
        except OSError as error:
            # Another attempt would not make the certificate trusted.
            is_final = isinstance(error, ssl.SSLCertVerificationError)
            return Disconnection(describe_network_error(error), final=is_final)
        except (WebSocketException, ValueError) as error:
            # No WebSocket server answers like this: a middlebox, or a server of something else.
            return Disconnection(describe_network_error(error), is_refused=True)
        self._websocket = websocket
        try:
            return await self._read(websocket)
        finally:
            self._websocket = None
            await websocket.close()

    async def _read(self, websocket: ClientConnection) -> Disconnection:
        session, generation = self._session, self._session.generation
        session.connection_opened(self._now_ms())
        welcomed_ms: int | None = None
        try:
            while True:
                data = await self._receive(websocket)
                now_ms = self._now_ms()
                effects = self._process(data, now_ms, generation)
                if any(isinstance(effect, Welcomed) for effect in effects):
                    welcomed_ms = now_ms
                self._on_effects(effects)
                closing = next((one for one in effects if isinstance(one, CloseConnection)), None)
                if closing is not None:
                    await websocket.close(closing.code, closing.reason[:100])
                    return self._end(closing.code, closing.reason, welcomed_ms, final=closing.final)
                await self._send(websocket, effects)
                await self._wait_until_ready()
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd else None
            end = self._end(code, self._reason(error), welcomed_ms, final=False)
            return msgspec.structs.replace(end, is_cut=True)
        except TimeoutError:
            return self._end(
                None, f"no message could be sent for {SEND_S} s", welcomed_ms, final=False
            )

    def _process(self, data: bytes | None, now_ms: int, generation: int) -> list[Effect]:
        if data is None:
            return self._session.check_silence(now_ms)
        try:
            return self._session.take_message(decode_server(data), now_ms, generation)
        except WireError as error:
            self._on_malformed(str(error))
            return []

    async def _receive(self, websocket: ClientConnection) -> bytes | None:
        wait_ms = self._session.wake_at_ms - self._now_ms()
        for timeout_s in (max(0, wait_ms) / 1000, GRACE_S):
            try:
                async with asyncio.timeout(timeout_s):
                    return await websocket.recv(decode=False)
            except TimeoutError:
                continue
        return None

    async def _send(self, websocket: ClientConnection, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, SendMessage):
                async with asyncio.timeout(SEND_S):
                    await websocket.send(encode(effect.message), text=True)

    def _end(
        self, code: int | None, reason: str, welcomed_ms: int | None, *, final: bool
    ) -> Disconnection:
        bye = self._session.report.bye
        wait_ms = min(bye.retry_after_ms, RETRY_AFTER_MAX_MS) if bye is not None else 0
        live_ms = 0 if welcomed_ms is None else self._now_ms() - welcomed_ms
        final = final or (code is not None and forbids_reconnect(code))
        return Disconnection(reason, code, final=final, retry_after_ms=wait_ms, live_ms=live_ms)

    def _reason(self, error: ConnectionClosed) -> str:
        bye = self._session.report.bye
        if error.rcvd is None:
            return "the connection broke"
        known = CLOSE_REASONS.get(error.rcvd.code, f"closed with code {error.rcvd.code}")
        detail = error.rcvd.reason or (bye.reason if bye is not None else "")
        return f"{known}: {detail}" if detail and detail != known else known


def _refusal(error: InvalidStatus) -> Disconnection:
    status, body = error.response.status_code, bytes(error.response.body or b"")
    try:
        why = decode_body(body, HttpError).error
    except WireError:
        return Disconnection(f"the WebSocket was refused with HTTP {status}", is_refused=True)
    return Disconnection(f"{why} (HTTP {status})", final=status in _REFUSALS, is_refused=True)


class HttpGetter:
    """Sends GET requests to one forwarder, each in a thread; responses are limited in size."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client = HttpClient(
            connect_s=CONNECT_S, read_s=READ_S, bytes_max=CLIENT_FRAME_BYTES_MAX
        )

    async def get(self, target: str) -> Response:
        """Return status and body of ``GET target``.

        Raises:
            HttpFailure: The forwarder cannot be reached, or the body broke off or is too large.
        """
        url = self._address.http_url(target)
        try:
            headers = self._address.headers
        except GaplessError as error:
            raise HttpFailure(str(error)) from error
        return await in_thread(lambda: self._client.send("GET", url, headers=headers))
