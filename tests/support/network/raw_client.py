"""A client that sends raw bytes, valid or not, from any loopback address."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

WAIT_S: Final = 240.0
"""Timeout of every wait; tests assert nothing about durations."""

TEXT, BINARY, CONTINUATION, CLOSE, PING = 0x1, 0x2, 0x0, 0x8, 0x9


def frame(
    payload: bytes = b"",
    opcode: int = TEXT,
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    says: int | None = None,
) -> bytes:
    """Encode a WebSocket frame; ``says`` replaces the length in its header."""
    size = len(payload) if says is None else says
    mark = 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if size < 126:
        head += bytes([mark | size])
    elif size < 1 << 16:
        head += bytes([mark | 126]) + struct.pack("!H", size)
    else:
        head += bytes([mark | 127]) + struct.pack("!Q", size)
    # A mask of zeros is valid and leaves the payload readable.
    return head + (bytes(4) if masked else b"") + payload


class RawClient:
    """One TCP connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        """Send bytes without waiting; a closed connection is ignored."""
        if not self.writer.is_closing():
            self.writer.write(data)

    async def flood(self, data: bytes, most: int) -> None:
        """Send the same bytes up to ``most`` times, without reading, until the server closes."""
        with suppress(ConnectionError):
            for _ in range(most):
                self.send(data)
                await self.writer.drain()

    async def read_all(self) -> bytes:
        """Read everything until the server closes."""
        received = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(WAIT_S):
                while part := await self.reader.read(1 << 16):
                    received += part
        return received

    async def read_response(self) -> tuple[int, dict[str, str], bytes]:
        """Read an HTTP response: status, headers (names in lower case) and body."""
        return parse_response(await self.read_all())

    async def upgrade(self, target: str, *headers: str) -> int:
        """Send an opening handshake; returns the response's status."""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (
            f"GET {target} HTTP/1.1",
            "Host: 127.0.0.1",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
            *headers,
        )
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        async with asyncio.timeout(WAIT_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
        assert b"permessage-deflate" not in head
        return int(head.split(b" ", 2)[1])

    async def close_code(self) -> tuple[int | None, list[dict[str, Any]]]:
        """Read until the server closes: the close code (None without one) and the messages."""
        messages: list[dict[str, Any]] = []
        async with asyncio.timeout(WAIT_S):
            try:
                while True:
                    opcode, payload = await self._frame()
                    if opcode == CLOSE:
                        return struct.unpack("!H", payload[:2])[0], messages
                    if opcode == TEXT:
                        messages.append(json.loads(payload))
            except (asyncio.IncompleteReadError, ConnectionError):
                return None, messages

    async def _frame(self) -> tuple[int, bytes]:
        first, size = await self.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 0x0F, await self.reader.readexactly(size)


def parse_response(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Split an HTTP response; the status is 0 if it is not one."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    if not lines[0].startswith("HTTP/1.1 "):
        return 0, {}, answer
    headers = dict(line.split(": ", 1) for line in lines[1:])
    return int(lines[0].split(" ", 2)[1]), {k.lower(): v for k, v in headers.items()}, body


@asynccontextmanager
async def raw_client(port: int, source: str = "127.0.0.2") -> AsyncIterator[RawClient]:
    """Connect from a source address; the connection closes with the ``with`` block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()


async def get(
    port: int, target: str, *headers: str, source: str = "127.0.0.2"
) -> tuple[int, dict[str, str], bytes]:
    """Send a GET with the target unchanged, even if it is invalid."""
    async with raw_client(port, source) as one:
        lines: Sequence[str] = (f"GET {target} HTTP/1.1", "Host: 127.0.0.1", *headers, "", "")
        one.send("\r\n".join(lines).encode("latin-1"))
        return await one.read_response()
