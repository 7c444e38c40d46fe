"""One connection as bytes: how its request may look, what its frames may be, and how it is written.

What a stranger sends is bounded here before anything decides about it. A large frame is written
piece by piece from the bytes that all viewers share, so that a slow reader holds one piece.

Sockets that count: every connection is known from ``accept`` to ``close``, TLS or not.

An event loop tells a protocol of a connection only after TLS has been agreed upon, and never of
one that did not get so far. What a stranger can hold open must be bounded before.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Final, NoReturn
from urllib.parse import urlsplit

from websockets import http11
from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import InvalidOrigin
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Origin, StatusLike

from forwarder.config import (
    CLOSE_S,
    FRAMES_BURST,
    FRAMES_PER_S,
    HANDSHAKE_S,
    HEAD_BYTES_MAX,
    HEADERS_MAX,
    MESSAGE_BYTES_MAX,
)
from forwarder.errors import RequestError
from forwarder.server.admission import Bucket, Guard, address_of
from forwarder.server.api import Accepted
from wire.codec import encode
from wire.errors import WireError
from wire.limits import CLOSE_BAD_MESSAGE, CLOSE_RATE_LIMITED, CLOSE_REASONS, REQUEST_LINE_BYTES_MAX

PIECE_BYTES: Final = 64 << 10
"""What of a frame is handed to the transport at once; a reader that stalls holds one such piece.
Pieces of a quarter of that take a quarter more CPU and reach the last of 500 viewers half as late
again; whole frames of 120 kB are no better than these."""

WRITE_LIMIT: Final = (1, 0)
"""The transport says that it is full as soon as the kernel has not taken everything."""

LIBRARY_LOG: Final = logging.getLogger("gapless.forwarder.websockets")
# At its debug level the library writes down the headers of every request, tokens included; what
# it says at the next is of each request, too, whatever level the process asks for.
LIBRARY_LOG.setLevel(logging.WARNING)

_LIBRARY_PREFIX: Final = "Failed to open a WebSocket connection: "
_HEAD_END: Final = b"\r\n\r\n"
_ERROR_CHARS_MAX: Final = 200
_TEXT_FRAME: Final = 0x81
_LENGTH_16, _LENGTH_64 = 126, 127
"""A text frame that is whole, and the marks of its longer lengths (RFC 6455, 5.2)."""

# The library counts the line's end too, which is no part of the request line.
http11.MAX_LINE_LENGTH = REQUEST_LINE_BYTES_MAX + len(b"\r\n")
http11.MAX_NUM_HEADERS = HEADERS_MAX


class Protocol(ServerProtocol):
    """Refuses in JSON, also what never reaches ``process_request`` (a line too long: 414).

    What is no message of the protocol by its frame alone closes with 4501 as any other does.
    """

    has_binary = False
    """Whether a binary frame came: messages are text."""

    def __init__(self, guard: Guard, clock_s: Callable[[], float], **options: Any) -> None:  # noqa: ANN401 - the library's own
        """Count what is refused with ``guard``; the rest is as the library has it."""
        super().__init__(max_size=MESSAGE_BYTES_MAX, logger=LIBRARY_LOG, **options)
        self._guard = guard
        self._clock_s = clock_s
        self._head_bytes = 0
        self._head_tail = b""
        self.has_head = False
        """Whether the request has come whole, well-formed or not."""
        self._has_answered = False
        self._frames: Bucket | None = None

    # The request

    def receive_data(self, data: bytes | bytearray) -> None:
        """Take bytes as they come; until a request is answered, its head and no more."""
        if self.state is State.CONNECTING:
            data = self._of_head(bytes(data))
            if not data:
                return
        super().receive_data(data)

    def _of_head(self, data: bytes) -> bytes:
        """What of ``data`` belongs to the head; what follows it has come too early."""
        if self.has_head or self.eof_sent:
            return b""
        end = (self._head_tail + data).find(_HEAD_END)
        if end >= 0:
            self.has_head = True
            data = data[: end + len(_HEAD_END) - len(self._head_tail)]
        self._head_bytes += len(data)
        self._head_tail = (self._head_tail + data)[-len(_HEAD_END) + 1 :]
        if self._head_bytes > HEAD_BYTES_MAX:
            text = f"the request is too long: at most {HEAD_BYTES_MAX} bytes with its headers"
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)
            return b""
        return data

    def refuse(self, status: HTTPStatus, text: str) -> None:
        """Answer a request that did not come, or not as it should; nothing more of it is read."""
        self.send_response(self.reject(status, text))

    def process_origin(self, headers: Headers) -> Origin | None:
        """Let in, with pages of nobody, the clients that name the address they dial as origin."""
        given, hosts = headers.get_all("Origin"), headers.get_all("Host")
        if len(given) == len(hosts) == 1 and _is_address_of(given[0], hosts[0]):
            return Origin(given[0])
        try:
            return super().process_origin(headers)
        except InvalidOrigin:
            self._guard.refused["origin"] += 1
            raise

    def reject(self, status: StatusLike, text: str) -> Response:
        """A refusal of the library's own."""
        response = super().reject(status, text)
        error = " ".join(text.removeprefix(_LIBRARY_PREFIX).split())[:_ERROR_CHARS_MAX]
        if status == HTTPStatus.REQUEST_URI_TOO_LONG:
            error = f"the request line is too long: at most {REQUEST_LINE_BYTES_MAX} bytes"
        if status != HTTPStatus.FORBIDDEN:
            self._guard.refused["request"] += 1
        response.body = encode({"error": error})
        del response.headers["Content-Length"]
        del response.headers["Content-Type"]
        response.headers["Content-Length"] = str(len(response.body))
        response.headers["Content-Type"] = "application/json"
        return response

    def send_response(self, response: Response) -> None:
        """Answer the request."""
        self._has_answered = True
        super().send_response(response)

    def send_eof(self) -> None:
        """End what is sent; who sent no HTTP at all is told so before."""
        if self.state is State.CONNECTING and not self._has_answered and not self.reader.eof:
            self._has_answered = True
            text = "this is no HTTP/1.1 request without a body"
            self.writes.append(self.reject(HTTPStatus.BAD_REQUEST, text).serialize())
        super().send_eof()

    # Frames

    def recv_frame(self, frame: Frame) -> None:
        """Look at the kind of a frame, which nobody can see later, and at how many there are."""
        now_s = self._clock_s()
        if self._frames is None:
            self._frames = Bucket(FRAMES_PER_S, FRAMES_BURST, now_s)
        if frame.opcode is not Opcode.CLOSE and not self._frames.take(now_s):
            self._guard.refused["rate"] += 1
            self.fail(CLOSE_RATE_LIMITED, CLOSE_REASONS[CLOSE_RATE_LIMITED])
            return
        self.has_binary = self.has_binary or frame.opcode is Opcode.BINARY
        super().recv_frame(frame)

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        """Close because of what came: too long for a message is a bad message."""
        is_bad_message = code == CloseCode.MESSAGE_TOO_BIG
        super().fail(CLOSE_BAD_MESSAGE if is_bad_message else code, reason)


def _is_address_of(origin: str, host: str) -> bool:
    """Whether an origin is the host itself, by address: a name can be made to point here."""
    try:
        parts = urlsplit(origin)
        if parts.netloc != host or parts.hostname is None:
            return False
        return parts.hostname == "localhost" or bool(ipaddress.ip_address(parts.hostname))
    except ValueError:
        return False


class Connection(ServerConnection):
    """A connection that knows whose it is, and writes large frames piece by piece."""

    guard: ClassVar[Guard]
    connections: ClassVar[set[Connection]]
    """Those that are open. A server has a subclass of its own, which has both."""

    def __init__(
        self,
        protocol: ServerProtocol,
        server: WebSocketServer,
        **options: Any,  # noqa: ANN401 - the library's own
    ) -> None:
        """Made by the library, at ``accept`` or once TLS has been agreed upon."""
        clock_s = asyncio.get_running_loop().time
        ours = Protocol(self.guard, clock_s, origins=protocol.origins)
        super().__init__(ours, server, **options)
        self.accepted: Accepted | None = None
        self.refusal: RequestError | None = None
        """Why nothing is served to it, whatever it asks."""
        self.address = ""
        """Whose connections count together."""
        self._ours = ours
        self._timer: asyncio.TimerHandle | None = None
        self._is_leaving = False
        self._pieces: deque[bytes | memoryview] = deque()
        self._is_inside = False

    # What comes

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
        """There is a connection."""
        super().connection_made(transport)
        self.connections.add(self)
        host, *_ = self.remote_address or ("",)
        self.address = address_of(str(host))
        self.refusal = self.guard.full(self.address)
        if self.refusal is None:
            self._timer = self.loop.call_later(HANDSHAKE_S, self._too_late)
        else:
            self._leave()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        super().data_received(data)
        if self._timer is not None and self._ours.has_head and not self._is_leaving:
            self._timer.cancel()
            self._timer = None
        if self.request is None and self._ours.eof_sent:
            self._leave()

    def _too_late(self) -> None:
        """The request has not come whole in time."""
        if self.request is None and not self._ours.eof_sent:
            text = f"the request did not come whole within {HANDSHAKE_S:.0f} s"
            self._ours.refuse(HTTPStatus.REQUEST_TIMEOUT, text)
            self.send_data()
        self._leave()

    def _leave(self) -> None:
        """Let the answer to a request that was none be read for a while."""
        if not self._is_leaving:
            self._is_leaving = True
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_later(CLOSE_S, self.transport.abort)

    def when_lost(self, call: Callable[[], None]) -> None:
        """Have something called as soon as the connection is lost."""
        self.connection_lost_waiter.add_done_callback(lambda _: call())

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is no more."""
        self.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    # What goes

    def begin(self, parts: Sequence[bytes]) -> bool:
        """Begin to send a text message, given in parts; whether it is all gone already.

        Where it is not, ``flush`` sends the rest, and says if there is nobody to read it.
        """
        assert not self._is_inside, "a message is under way"
        if self.protocol.state is not State.OPEN:
            return False
        self._is_inside = True
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
        """Send the rest of the message that ``begin`` began, as fast as it is read.

        Raises:
            ConnectionClosed: there is nobody to read it.

        """
        while self._is_inside or self.paused:
            if self.transport.is_closing():
                await self._gone()
            await self.drain()
            self._push()
        if self.protocol.state is not State.OPEN:
            await self._gone()

    async def _gone(self) -> NoReturn:
        """Wait until the connection is closed, but not for ever, and say so."""
        if self.protocol.state is not State.OPEN:
            async with self.send_context():
                pass
        await asyncio.shield(self.connection_lost_waiter)
        raise self.close_exc

    def _push(self) -> bool:
        """Hand on pieces as long as the kernel takes them; whether that was all."""
        pieces, write = self._pieces, self.transport.write
        while pieces and not self.paused:
            write(pieces.popleft())
        if pieces:
            return False
        if self._is_inside:
            self._is_inside = False
            # Pongs and the like that had to wait for the end of the frame.
            self.send_data()
        return not self.paused

    def send_data(self) -> None:
        """Send what the library has to say; never within a frame of ours."""
        if not self._is_inside:
            super().send_data()


def _frame_head(size: int) -> bytes:
    """The header of an unmasked text frame of so many bytes."""
    if size < _LENGTH_16:
        return bytes((_TEXT_FRAME, size))
    if size < 1 << 16:
        return bytes((_TEXT_FRAME, _LENGTH_16)) + size.to_bytes(2, "big")
    return bytes((_TEXT_FRAME, _LENGTH_64)) + size.to_bytes(8, "big")


def is_rebound(request: Request) -> bool:
    """Whether a request came by a name that a stranger may have made to point here.

    A web page can have its own name resolve to 127.0.0.1 and then read what is served there as
    its own; addresses and names without a public domain can't be used so.
    """
    hosts = request.headers.get_all("Host")
    try:
        name = urlsplit(f"//{hosts[0]}").hostname if len(hosts) == 1 else None
        if name is None or "." not in name or name.endswith((".localhost", ".internal")):
            return False
        ipaddress.ip_address(name)
    except ValueError:
        return True
    return False


class CountedSocket(socket.socket):
    """A connection that says when it is closed."""

    on_close: Callable[[], None] | None = None
    """Called once."""

    def close(self) -> None:
        """Close it, as often as one likes."""
        told, self.on_close = self.on_close, None
        super().close()
        if told is not None:
            told()


class Listener(socket.socket):
    """A socket that a guard watches over; made by ``listeners``."""

    guard: Guard

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that the guard lets in.

        Raises:
            ConnectionAbortedError: it did not, and the connection is closed: an event loop takes
                that for one that was gone already.

        """
        connection, peer = super().accept()
        address = address_of(peer[0])
        if not self.guard.came(address):
            connection.close()
            raise ConnectionAbortedError
        counted = CountedSocket(
            connection.family, connection.type, connection.proto, fileno=connection.detach()
        )
        counted.on_close = lambda: self.guard.left(address)
        return counted, peer


def listeners(host: str, port: int, guard: Guard) -> list[Listener]:
    """Bound sockets for every address of a host, all on one port; they do not listen yet.

    Raises:
        OSError: an address can't be had.

    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    made: list[Listener] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                listener = Listener(family, kind, protocol)
            except OSError:  # a host name may have an address of a family that is turned off
                continue
            made.append(listener)
            listener.guard = guard
            listener.setblocking(False)  # noqa: FBT003 - the library's own
            if sys.platform != "win32":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            first = made[0].getsockname()[1] if len(made) > 1 else port
            listener.bind((address[0], first, *address[2:]))
    except OSError:
        for listener in made:
            listener.close()
        raise
    if not made:
        msg = f"no address of {host} can be listened on"
        raise OSError(msg)
    return made
