"""Server connections as bytes: limits on requests and frames, the frame writer, listening sockets.

Client input is bounded here before anything decides about it. The event loop tells a protocol of a
connection only once TLS is agreed, and never of one that fails before. Sockets are therefore
counted from ``accept`` to ``close``.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final, NoReturn

from websockets import http11
from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import StatusLike

from forwarder.config import (
    CLOSE_S,
    FRAMES_BURST,
    FRAMES_PER_S,
    HANDSHAKE_S,
    HEAD_BYTES_MAX,
    HEADERS_MAX,
)
from forwarder.errors import RequestError
from forwarder.server.admission import Admission, TokenBucket, address_of
from forwarder.server.api import AcceptedViewer
from wire.codec import encode
from wire.errors import WireError
from wire.limits import CLOSE_BAD_MESSAGE, CLOSE_RATE_LIMITED, CLOSE_REASONS, REQUEST_LINE_BYTES_MAX

PIECE_BYTES: Final = 64 << 10
"""Bytes of a frame given to the transport at once; a stalled reader holds one such piece. Measured:
pieces of a quarter of that take 25 % more CPU and reach the last of 500 viewers 50 % later; whole
frames of 120 kB are no faster than these."""

WRITE_LIMIT: Final = (1, 0)
"""Write buffer limits (high, low): the transport pauses as soon as the kernel's buffer is full."""

LIBRARY_LOG: Final = logging.getLogger("gapless.forwarder.websockets")
# At debug level the library logs the headers of every request, tokens included, and at info level
# it logs every request; neither may depend on the level that the process asks for.
LIBRARY_LOG.setLevel(logging.WARNING)

_LIBRARY_PREFIX: Final = "Failed to open a WebSocket connection: "
_HEAD_END: Final = b"\r\n\r\n"
_BODY_HEADERS: Final = (b"content-length:", b"transfer-encoding:")
_ERROR_CHARS_MAX: Final = 200
_TEXT_FRAME: Final = 0x81
"""First byte of an unfragmented text frame (RFC 6455, 5.2)."""
_LENGTH_16, _LENGTH_64 = 126, 127
"""Length bytes that announce a longer length field (RFC 6455, 5.2)."""

# websockets takes these two limits only from environment variables, read once at its first import
# anywhere in the process. The library counts the line end as well.
http11.MAX_LINE_LENGTH = REQUEST_LINE_BYTES_MAX + len(b"\r\n")
http11.MAX_NUM_HEADERS = HEADERS_MAX


class LimitedProtocol(ServerProtocol):
    """The library's protocol with limits on requests and frames, and JSON error bodies.

    Requests that never reach ``process_request`` (a long line: 414) get JSON errors as well.
    Frames that can't be a message close with 4501 like any other bad message.

    Attributes:
        has_binary: Whether a binary frame arrived; messages are text.
        has_head: Whether a whole request arrived, well-formed or not.
    """

    def __init__(
        self,
        admission: Admission,
        clock_s: Callable[[], float],
        **options: Any,  # noqa: ANN401 - the library's own
    ) -> None:
        """Count refusals with ``admission``; ``options`` are the library's."""
        super().__init__(**options)
        self.has_binary = False
        self.has_head = False
        self._admission = admission
        self._clock_s = clock_s
        self._head_bytes = 0
        self._head_tail = b""
        self._line = b""
        self._is_get: bool | None = None
        self._has_answered = False
        self._frames: TokenBucket | None = None

    # The request

    def receive_data(self, data: bytes | bytearray) -> None:
        """Pass received bytes on; before a request is answered, only its head."""
        if self.state is State.CONNECTING:
            data = self._take_head(bytes(data))
            if not data:
                return
        super().receive_data(data)

    def _take_head(self, data: bytes) -> bytes:
        """Return the part of ``data`` that belongs to the head; the rest came too early."""
        if self.has_head or self.eof_sent:
            return b""
        end = (self._head_tail + data).find(_HEAD_END)
        if end >= 0:
            self.has_head = True
            data = data[: end + len(_HEAD_END) - len(self._head_tail)]
        self._head_bytes += len(data)
        self._head_tail = (self._head_tail + data)[-len(_HEAD_END) + 1 :]
        if self._head_bytes > HEAD_BYTES_MAX:
            text = f"the request is too long: at most {HEAD_BYTES_MAX} bytes including headers"
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)
            return b""
        return self._without_body(data)

    def _without_body(self, data: bytes) -> bytes:
        """Return the lines of the head that are complete now, without those that announce a body.

        The library refuses every request with a body, whatever its method, before anything else is
        checked. The API refuses every method but GET, and no body is ever read: so a request with
        another method goes on without its body, and is refused like one that has none.
        """
        *lines, self._line = (self._line + data).split(b"\n")
        passed = b""
        for line in lines:
            if self._is_get is None:
                self._is_get = line.startswith(b"GET ")
            elif not self._is_get and line.lower().startswith(_BODY_HEADERS):
                continue
            passed += line + b"\n"
        if len(self._line) > http11.MAX_LINE_LENGTH:
            # The library refuses it now, and not only when the rest has come.
            passed, self._line = passed + self._line, b""
        return passed

    def refuse(self, status: HTTPStatus, text: str) -> None:
        """Answer an incomplete or invalid request with an error, and read nothing more of it."""
        self.send_response(self.reject(status, text))

    def reject(self, status: StatusLike, text: str) -> Response:
        """Turn a refusal by the library into a JSON error."""
        response = super().reject(status, text)
        error = " ".join(text.removeprefix(_LIBRARY_PREFIX).split())[:_ERROR_CHARS_MAX]
        if status == HTTPStatus.REQUEST_URI_TOO_LONG:
            error = f"the request line is too long: at most {REQUEST_LINE_BYTES_MAX} bytes"
        self._admission.refused["request"] += 1
        response.body = encode({"error": error})
        del response.headers["Content-Length"]
        del response.headers["Content-Type"]
        response.headers["Content-Length"] = str(len(response.body))
        response.headers["Content-Type"] = "application/json"
        return response

    def send_response(self, response: Response) -> None:
        """Send the response, and remember that one was sent."""
        self._has_answered = True
        super().send_response(response)

    def send_eof(self) -> None:
        """End the sending side, after an error response if no HTTP request arrived."""
        if self.state is State.CONNECTING and not self._has_answered and not self.reader.eof:
            self._has_answered = True
            text = "not an HTTP/1.1 request without a body"
            self.writes.append(self.reject(HTTPStatus.BAD_REQUEST, text).serialize())
        super().send_eof()

    # Frames

    def recv_frame(self, frame: Frame) -> None:
        """Note a frame's type, which the library hides later, and limit the frame rate."""
        now_s = self._clock_s()
        if self._frames is None:
            self._frames = TokenBucket(FRAMES_PER_S, FRAMES_BURST, now_s)
        if frame.opcode is not Opcode.CLOSE and not self._frames.take(now_s):
            self._admission.refused["rate"] += 1
            self.fail(CLOSE_RATE_LIMITED, CLOSE_REASONS[CLOSE_RATE_LIMITED])
            return
        self.has_binary = self.has_binary or frame.opcode is Opcode.BINARY
        super().recv_frame(frame)

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        """Close because of a bad frame; a message that is too long is a bad message (4501)."""
        is_bad_message = code == CloseCode.MESSAGE_TOO_BIG
        super().fail(CLOSE_BAD_MESSAGE if is_bad_message else code, reason)


class ServedConnection(ServerConnection):
    """A connection under admission control that writes large frames piece by piece.

    The pieces are views of bytes that all viewers share, so a slow reader holds one piece of
    ``PIECE_BYTES`` instead of a copy of the frame.

    Attributes:
        accepted: The viewer that it was upgraded for.
        refusal: Why nothing is served to it, whatever it requests.
        address: The address with which it is counted.
    """

    def __init__(
        self,
        protocol: ServerProtocol,
        server: WebSocketServer,
        *,
        admission: Admission,
        connections: set[ServedConnection],
        **options: Any,  # noqa: ANN401 - the library's own
    ) -> None:
        """Replace the library's ``protocol`` by one with the same settings, and limits.

        The connection is in ``connections`` while it is open.
        """
        clock_s = asyncio.get_running_loop().time
        limited = LimitedProtocol(
            admission, clock_s, max_size=protocol.max_message_size, logger=protocol.logger
        )
        super().__init__(limited, server, **options)
        self.accepted: AcceptedViewer | None = None
        self.refusal: RequestError | None = None
        self.address = ""
        self._admission = admission
        self._connections = connections
        self._limited = limited
        self._timer: asyncio.TimerHandle | None = None
        self._is_aborting = False
        self._pieces: deque[bytes | memoryview] = deque()
        self._in_message = False

    # Receiving

    async def receive(self) -> bytes:
        """Receive the next message, undecoded.

        Raises:
            ConnectionClosed: The connection is closed.
            WireError: The message is not text.
        """
        data = await self.recv(decode=False)
        if self._limited.has_binary:
            msg = "a binary frame: messages are text"
            raise WireError(msg)
        return data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the request timeout, or the short one of a refused connection."""
        super().connection_made(transport)
        self._connections.add(self)
        host, *_ = self.remote_address or ("",)
        self.address = address_of(str(host))
        self.refusal = self._admission.check_socket(self.address)
        if self.refusal is None:
            self._timer = self.loop.call_later(HANDSHAKE_S, self._time_out)
        else:
            self._abort_soon()

    def data_received(self, data: bytes) -> None:
        """Process received bytes; stop the request timeout once the request is complete."""
        super().data_received(data)
        if self._timer is not None and self._limited.has_head and not self._is_aborting:
            self._timer.cancel()
            self._timer = None
        if self.request is None and self._limited.eof_sent:
            self._abort_soon()

    def _time_out(self) -> None:
        """Refuse a request that did not arrive completely in time."""
        if self.request is None and not self._limited.eof_sent:
            text = f"the request did not arrive completely within {HANDSHAKE_S:.0f} s"
            self._limited.refuse(HTTPStatus.REQUEST_TIMEOUT, text)
            self.send_data()
        self._abort_soon()

    def _abort_soon(self) -> None:
        """Give the client time to read the error response, then abort the connection."""
        if not self._is_aborting:
            self._is_aborting = True
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_later(CLOSE_S, self.transport.abort)

    def when_lost(self, call: Callable[[], None]) -> None:
        """Call a function as soon as the connection is lost."""
        self.connection_lost_waiter.add_done_callback(lambda _: call())

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection and its timeout."""
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    # Sending

    def begin_message(self, parts: Sequence[bytes]) -> bool:
        """Begin to send a text message, given in parts; returns whether all of it was sent.

        If not, ``flush`` sends the rest, and raises if the connection is closed.
        """
        assert not self._in_message, "the previous message is not sent completely"
        if self.protocol.state is not State.OPEN:
            return False
        self._in_message = True
        size = sum(map(len, parts))
        first = _frame_head(size) + parts[0]
        self._pieces.append(first)
        for part in parts[1:]:
            view = memoryview(part)
            self._pieces.extend(
                view[at : at + PIECE_BYTES] for at in range(0, len(view), PIECE_BYTES)
            )
        return self._push()

    async def flush(self) -> None:
        """Send the rest of the message begun by ``begin_message``, as fast as it is read.

        Raises:
            ConnectionClosed: The connection is closed.
        """
        while self._in_message or self.paused:
            if self.transport.is_closing():
                await self._raise_closed()
            await self.drain()
            self._push()
        if self.protocol.state is not State.OPEN:
            await self._raise_closed()

    async def _raise_closed(self) -> NoReturn:
        """Wait for the connection to be closed, within the library's timeout, and raise."""
        if self.protocol.state is not State.OPEN:
            async with self.send_context():
                pass
        await asyncio.shield(self.connection_lost_waiter)
        raise self.close_exc

    def _push(self) -> bool:
        """Write pieces until the transport pauses; returns whether all were written."""
        pieces, write = self._pieces, self.transport.write
        while pieces and not self.paused:
            write(pieces.popleft())
        if pieces:
            return False
        if self._in_message:
            self._in_message = False
            # Send control frames that had to wait for the end of the message.
            self.send_data()
        return not self.paused

    def send_data(self) -> None:
        """Send the library's frames, but never in the middle of a message."""
        if not self._in_message:
            super().send_data()


def _frame_head(size: int) -> bytes:
    """Return the header of an unmasked text frame with ``size`` bytes of payload."""
    if size < _LENGTH_16:
        return bytes((_TEXT_FRAME, size))
    if size < 1 << 16:
        return bytes((_TEXT_FRAME, _LENGTH_16)) + size.to_bytes(2, "big")
    return bytes((_TEXT_FRAME, _LENGTH_64)) + size.to_bytes(8, "big")


class CountedSocket(socket.socket):
    """An accepted socket that reports once when it is closed."""

    def __init__(self, accepted: socket.socket, on_close: Callable[[], None]) -> None:
        """Take over an accepted socket's descriptor."""
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self._on_close: Callable[[], None] | None = on_close

    def close(self) -> None:
        """Close the socket; may be called again."""
        on_close, self._on_close = self._on_close, None
        super().close()
        if on_close is not None:
            on_close()


class ListeningSocket(socket.socket):
    """A listening socket that counts connections and closes those beyond the limit."""

    def __init__(self, family: int, kind: int, protocol: int, admission: Admission) -> None:
        super().__init__(family, kind, protocol)
        self._admission = admission

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept the next connection that admission control allows.

        Raises:
            ConnectionAbortedError: The connection was refused and closed. An event loop treats it
                like one that the client aborted.
        """
        accepted, peer = super().accept()
        address = address_of(peer[0])
        if not self._admission.open_socket(address):
            accepted.close()
            raise ConnectionAbortedError
        return CountedSocket(accepted, lambda: self._admission.close_socket(address)), peer


def bind_sockets(host: str, port: int, admission: Admission) -> list[ListeningSocket]:
    """Bind sockets for all addresses of a host, on one port; they do not listen yet.

    Raises:
        OSError: An address can't be bound.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[ListeningSocket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                listening = ListeningSocket(family, kind, protocol, admission)
            except OSError:  # the host name has an address of a disabled family
                continue
            bound.append(listening)
            listening.setblocking(False)  # noqa: FBT003 - the library's own
            if sys.platform != "win32":
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            chosen = bound[0].getsockname()[1] if len(bound) > 1 else port
            listening.bind((address[0], chosen, *address[2:]))
    except OSError:
        for listening in bound:
            listening.close()
        raise
    if not bound:
        msg = f"{host} has no address to listen on"
        raise OSError(msg)
    return bound
