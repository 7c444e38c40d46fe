"""A client that keeps to no rule: bytes as they are, from any address of loopback."""

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
"""The longest that anything is waited for; nothing is asserted of how long it took."""

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
    """A frame; ``says`` is the length that it claims to have."""
    size = len(payload) if says is None else says
    mark = 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if size < 126:
        head += bytes([mark | size])
    elif size < 1 << 16:
        head += bytes([mark | 126]) + struct.pack("!H", size)
    else:
        head += bytes([mark | 127]) + struct.pack("!Q", size)
    # A mask of zeros is a mask, and leaves the payload readable.
    return head + (bytes(4) if masked else b"") + payload


class RawClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        """Hand bytes to the kernel, or to a buffer; a connection that is gone is no error."""
        if not self.writer.is_closing():
            self.writer.write(data)

    async def flood(self, data: bytes, most: int) -> None:
        """Send the same again and again until the other side has closed, without reading."""
        with suppress(ConnectionError):
            for _ in range(most):
                self.send(data)
                await self.writer.drain()

    async def rest(self) -> bytes:
        """Everything that still comes, until the other side closes."""
        received = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(WAIT_S):
                while part := await self.reader.read(1 << 16):
                    received += part
        return received

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower case) and body of what comes until the other side closes."""
        return parsed(await self.rest())

    async def upgrade(self, target: str, *headers: str) -> int:
        """The status of an opening handshake."""
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
        """The code of the close frame, None where none came, and the messages before it."""
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


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """An HTTP answer taken apart; status 0 where there was none."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    if not lines[0].startswith("HTTP/1.1 "):
        return 0, {}, answer
    headers = dict(line.split(": ", 1) for line in lines[1:])
    return int(lines[0].split(" ", 2)[1]), {k.lower(): v for k, v in headers.items()}, body


@asynccontextmanager
async def raw_client(port: int, source: str = "127.0.0.2") -> AsyncIterator[RawClient]:
    """A connection for the length of a block, from an address of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()


async def get(
    port: int, target: str, *headers: str, source: str = "127.0.0.2"
) -> tuple[int, dict[str, str], bytes]:
    """A plain request; the target is sent as it is, whatever is in it."""
    async with raw_client(port, source) as one:
        lines: Sequence[str] = (f"GET {target} HTTP/1.1", "Host: 127.0.0.1", *headers, "", "")
        one.send("\r\n".join(lines).encode("latin-1"))
        return await one.answer()
