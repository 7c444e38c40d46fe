"""Pure: where a server's WebSocket frames begin and end in the bytes that it sends.

No byte is ever lost or moved: what goes in comes out, in the same order, whatever it is and
however it is cut into chunks. Frames follow RFC 6455, section 5.2.

Crowds of viewers that come all at once, and come back as soon as they are cut off.

They speak just enough WebSocket to be served as any viewer is: a handshake, after which all that
comes is read and thrown away. One cut off is back at once, without the jitter of a proper viewer.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Callable
from typing import Final, NamedTuple
from urllib.parse import urlencode

HEAD_BYTES_MAX: Final = 32_768
"""An HTTP head that is longer is not waited for: what it begins is passed on as it comes."""

FRAME_BYTES_MAX: Final = 16 << 20
"""A frame that is larger is passed on in pieces; clients of the protocol accept 8 MiB."""

HEAD_END: Final = b"\r\n\r\n"

_TEXT, _BINARY, _CLOSE = 1, 2, 8
_FIN: Final = 0x80
_OPCODE: Final = 0x0F
_PLAIN: Final = 0xF0
"""The bits beside the opcode; with FIN alone a frame is a whole, uncompressed message."""

_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_SHORTEST: Final = 2
_MASK_BYTES: Final = 4
_REASON_BYTES_MAX: Final = 123


class Piece(NamedTuple):
    """Bytes that belong together: a whole frame, or something that just passes."""

    data: bytes
    is_message: bool = False
    """Whether it is a whole frame that is a whole message: text or binary, not fragmented."""

    def kind(self) -> str | None:
        """The ``type`` of a message in JSON; None where it is something else."""
        if not self.is_message or self.data[0] != _FIN | _TEXT:
            return None
        try:
            said = json.loads(self.data[header_bytes(self.data) :])
        except (ValueError, RecursionError):
            return None
        kind = said.get("type") if isinstance(said, dict) else None
        return kind if isinstance(kind, str) else None


def header_bytes(head: bytes | bytearray) -> int:
    """How long a frame's header is, as far as its first bytes tell: at least 2."""
    if len(head) < _SHORTEST:
        return _SHORTEST
    length = head[1] & _LENGTH
    more = 2 if length == _LENGTH_16 else 8 if length == _LENGTH_64 else 0
    return _SHORTEST + more + (_MASK_BYTES if head[1] & _MASKED else 0)


def payload_bytes(head: bytes | bytearray) -> int:
    """How long the payload is, by a whole header."""
    length = head[1] & _LENGTH
    if length == _LENGTH_16:
        return int.from_bytes(head[2:4], "big")
    if length == _LENGTH_64:
        return int.from_bytes(head[2:10], "big")
    return length


def close_frame(code: int, reason: str) -> bytes:
    """A server's close frame."""
    payload = code.to_bytes(2, "big") + reason.encode()[:_REASON_BYTES_MAX]
    return bytes((_FIN | _CLOSE, len(payload))) + payload


def is_upgrade(head: bytes) -> bool:
    """Whether the head of an HTTP request asks for a WebSocket."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"upgrade" and value.strip().lower() == b"websocket":
            return True
    return False


def may_be_request(begun: bytes | bytearray) -> bool:
    """Whether bytes can still become the head of an HTTP request that is worth waiting for."""
    method = bytes(begun[:8]).partition(b" ")[0]
    is_method = all(b"A"[0] <= byte <= b"Z"[0] for byte in method)
    return is_method and len(begun) <= HEAD_BYTES_MAX


class FrameCutter:
    """Finds the frames in what a server sends after the handshake."""

    def __init__(self) -> None:
        """Before the first frame."""
        self._head = bytearray()
        """The beginning of a header whose bytes have been passed on."""
        self._rest = 0
        """Bytes of a payload, begun already, that are still to pass."""
        self._held = bytearray()
        """The beginning of a frame that is held back until it is whole."""

    @property
    def is_between(self) -> bool:
        """Whether what has been passed on ends with the end of a frame."""
        return not self._head and not self._rest

    def passing(self, data: bytes) -> bytes:
        """What comes next, as it is; only the frames' ends are kept in mind."""
        if self._held:
            data = bytes(self._held) + data
            self._held.clear()
        at = 0
        while at < len(data):
            at = self._step(data, at)
        return data

    def cut(self, data: bytes) -> list[Piece]:
        """What comes next, frame by frame; an unfinished one is held back."""
        pieces: list[Piece] = []
        at = 0
        while at < len(data) and not self.is_between:
            at = self._step(data, at)
        if at:
            pieces.append(Piece(data[:at]))
        self._held += data[at:]
        while self._held and self.is_between:
            size = self._size()
            if size is None:
                break
            if size > FRAME_BYTES_MAX:
                pieces.append(Piece(self.passing(b"")))
                break
            if len(self._held) < size:
                break
            pieces.append(_piece(bytes(self._held[:size])))
            del self._held[:size]
        return pieces

    def released(self) -> bytes:
        """What is held back, to be passed on now."""
        return self.passing(b"")

    def _size(self) -> int | None:
        """How long the frame that is held will be; None if its header is not whole."""
        need = header_bytes(self._held)
        if len(self._held) < need:
            return None
        return need + payload_bytes(self._held)

    def _step(self, data: bytes, at: int) -> int:
        """Go on to the next end of a header or payload; the new place."""
        if self._rest:
            step = min(self._rest, len(data) - at)
            self._rest -= step
            return at + step
        step = min(header_bytes(self._head) - len(self._head), len(data) - at)
        self._head += data[at : at + step]
        if len(self._head) == header_bytes(self._head):
            self._rest = payload_bytes(self._head)
            self._head.clear()
        return at + step


def _piece(frame: bytes) -> Piece:
    is_whole = frame[0] & _PLAIN == _FIN and frame[0] & _OPCODE in (_TEXT, _BINARY)
    return Piece(frame, is_message=is_whole)


class ServerStream:
    """All that a server sends over one connection: an HTTP head, then frames or anything."""

    def __init__(self) -> None:
        """Nothing was sent yet."""
        self._head: bytearray | None = bytearray()
        self._frames: FrameCutter | None = None

    @property
    def is_websocket(self) -> bool:
        """Whether the server agreed to speak WebSocket."""
        return self._frames is not None

    @property
    def is_between(self) -> bool:
        """Whether what was passed on ends with the end of a frame; False without frames."""
        return self._frames is not None and self._frames.is_between

    def feed(self, data: bytes, *, whole: bool) -> list[Piece]:
        """What is to be passed on: frame by frame if ``whole``, else as it comes."""
        if self._head is None:
            return self._after(data, whole=whole)
        self._head += data
        end = self._head.find(HEAD_END)
        if end < 0:
            if len(self._head) > HEAD_BYTES_MAX or not _may_be_answer(self._head):
                self._head = None
            return [Piece(data)]
        is_switching = self._head[:12].split(b" ")[1:2] == [b"101"]
        # What is behind the head belongs to the frames; the head itself ends in these bytes.
        behind = len(self._head) - end - len(HEAD_END)
        self._head = None
        if not is_switching:
            return [Piece(data)]
        self._frames = FrameCutter()
        cut = len(data) - behind
        return [Piece(data[:cut]), *self._after(data[cut:], whole=whole)]

    def released(self) -> bytes:
        """What is held back, to be passed on now."""
        return b"" if self._frames is None else self._frames.released()

    def _after(self, data: bytes, *, whole: bool) -> list[Piece]:
        if not data:
            return []
        if self._frames is None:
            return [Piece(data)]
        return self._frames.cut(data) if whole else [Piece(self._frames.passing(data))]


def _may_be_answer(begun: bytearray) -> bool:
    return begun[:5] == b"HTTP/"[: len(begun)]


HOST: Final = "127.0.0.1"

PAUSE_S: Final = 0.05
"""Before the next attempt of one that was refused: without it a dead port would cost a core."""

_CHUNK_BYTES: Final = 65_536
_SWITCHING: Final = b" 101 "


class Crowds:
    """Every crowd, by its owner; used from one event loop."""

    def __init__(self, port: Callable[[], int], group: str) -> None:
        """``port`` tells where the viewers of ``group`` connect to."""
        self._port = port
        self._request_target = f"/v1/tail?{urlencode({'group': group})}"
        self._crowds: dict[str, list[asyncio.Task[None]]] = {}
        self.connections = 0

    async def gather(self, owner: str, clients: int) -> None:
        """Let that many come, in place of the owner's earlier ones."""
        await self.disperse(owner)
        self._crowds[owner] = [asyncio.create_task(self._client()) for _ in range(clients)]

    async def disperse(self, owner: str) -> None:
        """Let them go; returns once their connections are closed."""
        tasks = self._crowds.pop(owner, [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        """Let everybody go."""
        for owner in tuple(self._crowds):
            await self.disperse(owner)

    async def _client(self) -> None:
        while True:
            with contextlib.suppress(
                OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
            ):
                if await self._watch():
                    continue
            await asyncio.sleep(PAUSE_S)

    async def _watch(self) -> bool:
        """Be connected for as long as it lasts; whether it was a WebSocket at all."""
        reader, writer = await asyncio.open_connection(HOST, self._port(), limit=HEAD_BYTES_MAX)
        try:
            writer.write(self._request())
            head = await reader.readuntil(HEAD_END)
            if _SWITCHING not in head.partition(b"\r\n")[0]:
                return False
            self.connections += 1
            while await reader.read(_CHUNK_BYTES):
                pass
            return True
        finally:
            writer.transport.abort()

    def _request(self) -> bytes:
        # The key is no secret: it only shows that the answer is not a cached one.
        key = base64.b64encode(b"gapless simulator").decode()[:22] + "=="
        return (
            f"GET {self._request_target} HTTP/1.1\r\nHost: {HOST}:{self._port()}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
