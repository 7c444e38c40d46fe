"""Finds where WebSocket frames begin and end in a server's bytes (RFC 6455, section 5.2). Pure.

No byte is lost or reordered, however the bytes are cut into chunks, and whether or not they are
frames at all.
"""

from __future__ import annotations

import json
from typing import Final, NamedTuple

HEAD_BYTES_MAX: Final = 32_768
"""Longest HTTP head that is waited for; a longer one is passed on as it arrives."""

FRAME_BYTES_MAX: Final = 16 << 20
"""A larger frame is passed on in pieces; clients of the protocol accept at most 8 MiB."""

HEAD_END: Final = b"\r\n\r\n"

_TEXT, _BINARY, _CLOSE = 1, 2, 8
_FIN: Final = 0x80
_OPCODE: Final = 0x0F
_PLAIN: Final = 0xF0
"""The bits beside the opcode; if only FIN is set, the frame is a whole, uncompressed message."""

_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_SHORTEST: Final = 2
_MASK_BYTES: Final = 4
_REASON_BYTES_MAX: Final = 123


class Piece(NamedTuple):
    """A chunk of bytes to pass on: a whole frame, or bytes that are not inspected."""

    data: bytes
    is_message: bool = False
    """Whether it is one frame with one whole message: text or binary, not fragmented."""

    def kind(self) -> str | None:
        """The ``type`` field of a JSON message; None for anything else."""
        if not self.is_message or self.data[0] != _FIN | _TEXT:
            return None
        try:
            said = json.loads(self.data[header_bytes(self.data) :])
        except (ValueError, RecursionError):
            return None
        kind = said.get("type") if isinstance(said, dict) else None
        return kind if isinstance(kind, str) else None


def header_bytes(head: bytes | bytearray) -> int:
    """Length of a frame's header, as far as its first bytes say: at least 2."""
    if len(head) < _SHORTEST:
        return _SHORTEST
    length = head[1] & _LENGTH
    more = 2 if length == _LENGTH_16 else 8 if length == _LENGTH_64 else 0
    return _SHORTEST + more + (_MASK_BYTES if head[1] & _MASKED else 0)


def payload_bytes(head: bytes | bytearray) -> int:
    """Length of the payload, from a complete header."""
    length = head[1] & _LENGTH
    if length == _LENGTH_16:
        return int.from_bytes(head[2:4], "big")
    if length == _LENGTH_64:
        return int.from_bytes(head[2:10], "big")
    return length


def close_frame(code: int, reason: str) -> bytes:
    """An unmasked close frame, as a server sends it."""
    payload = code.to_bytes(2, "big") + reason.encode()[:_REASON_BYTES_MAX]
    return bytes((_FIN | _CLOSE, len(payload))) + payload


def is_upgrade(head: bytes) -> bool:
    """Whether the head of an HTTP request asks for a WebSocket."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"upgrade" and value.strip().lower() == b"websocket":
            return True
    return False


def could_be_request(begun: bytes | bytearray) -> bool:
    """Whether the bytes so far can still become an HTTP request head of acceptable length."""
    method = bytes(begun[:8]).partition(b" ")[0]
    is_method = all(b"A"[0] <= byte <= b"Z"[0] for byte in method)
    return is_method and len(begun) <= HEAD_BYTES_MAX


class FrameSplitter:
    """Splits the bytes after the handshake into frames."""

    def __init__(self) -> None:
        self._head = bytearray()
        """The start of a header whose bytes were already passed on."""
        self._rest = 0
        """Remaining bytes of a payload that was partly passed on."""
        self._held = bytearray()
        """The start of a frame that is held back until it is complete."""

    @property
    def is_at_frame_end(self) -> bool:
        """Whether the bytes passed on so far end at the end of a frame."""
        return not self._head and not self._rest

    def pass_through(self, data: bytes) -> bytes:
        """The same bytes unchanged, tracking only where frames end."""
        if self._held:
            data = bytes(self._held) + data
            self._held.clear()
        at = 0
        while at < len(data):
            at = self._advance(data, at)
        return data

    def split_frames(self, data: bytes) -> list[Piece]:
        """The bytes as whole frames; an unfinished frame is held back."""
        pieces: list[Piece] = []
        at = 0
        while at < len(data) and not self.is_at_frame_end:
            at = self._advance(data, at)
        if at:
            pieces.append(Piece(data[:at]))
        self._held += data[at:]
        while self._held and self.is_at_frame_end:
            size = self._held_size()
            if size is None:
                break
            if size > FRAME_BYTES_MAX:
                pieces.append(Piece(self.pass_through(b"")))
                break
            if len(self._held) < size:
                break
            frame = bytes(self._held[:size])
            is_whole = frame[0] & _PLAIN == _FIN and frame[0] & _OPCODE in (_TEXT, _BINARY)
            pieces.append(Piece(frame, is_message=is_whole))
            del self._held[:size]
        return pieces

    def release(self) -> bytes:
        """Return the held-back bytes, to pass them on."""
        return self.pass_through(b"")

    def _held_size(self) -> int | None:
        """Total length of the held frame; None while its header is incomplete."""
        need = header_bytes(self._held)
        if len(self._held) < need:
            return None
        return need + payload_bytes(self._held)

    def _advance(self, data: bytes, at: int) -> int:
        """Advance to the next end of a header or payload; returns the new offset."""
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


class ServerStream:
    """Everything a server sends on one connection: an HTTP head, then frames or other bytes."""

    def __init__(self) -> None:
        self._head: bytearray | None = bytearray()
        self._frames: FrameSplitter | None = None

    @property
    def is_websocket(self) -> bool:
        """Whether the server accepted the WebSocket upgrade."""
        return self._frames is not None

    @property
    def is_at_frame_end(self) -> bool:
        """Whether the bytes passed on end at the end of a frame; False if there are no frames."""
        return self._frames is not None and self._frames.is_at_frame_end

    def feed(self, data: bytes, *, whole: bool) -> list[Piece]:
        """Return pieces to pass on: whole frames if ``whole``, else the bytes as they arrive."""
        if self._head is None:
            return self._split_rest(data, whole=whole)
        self._head += data
        end = self._head.find(HEAD_END)
        if end < 0:
            if len(self._head) > HEAD_BYTES_MAX or not b"HTTP/".startswith(self._head[:5]):
                self._head = None
            return [Piece(data)]
        is_switching = self._head[:12].split(b" ")[1:2] == [b"101"]
        # Bytes after the head already belong to frames.
        behind = len(self._head) - end - len(HEAD_END)
        self._head = None
        if not is_switching:
            return [Piece(data)]
        self._frames = FrameSplitter()
        cut = len(data) - behind
        return [Piece(data[:cut]), *self._split_rest(data[cut:], whole=whole)]

    def release(self) -> bytes:
        """Return the held-back bytes, to pass them on."""
        return b"" if self._frames is None else self._frames.release()

    def _split_rest(self, data: bytes, *, whole: bool) -> list[Piece]:
        if not data:
            return []
        if self._frames is None:
            return [Piece(data)]
        return (
            self._frames.split_frames(data) if whole else [Piece(self._frames.pass_through(data))]
        )
