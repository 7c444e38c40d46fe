"""The upper bound for one Python process: the same bytes written to every viewer.

There are no sessions, cursors or flow control: a frame is encoded once and written to all sockets.
``python -m tests.bench.broadcast RATE`` prints its port, sends RATE events per second in the same
frames as the forwarder, and stops at the end of standard input.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final, cast

from tests.bench.standin import LINE, STREAMS
from wire.codec import encode
from wire.limits import FRAME_EVENTS_MAX
from wire.messages import Events, Item

ROUND_S: Final = 1.0
"""The forwarder's polling interval."""


class _Peer(asyncio.Protocol):
    def __init__(self, peers: list[asyncio.Transport]) -> None:
        self._peers = peers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            self._peers.append(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - overrides
        if self._transport in self._peers:
            self._peers.remove(self._transport)


def frame(after: int, count: int) -> bytes:
    """Encode a WebSocket frame with ``count`` events stamped now."""
    now = time.time_ns() // 1_000_000
    items = [
        Item(
            seq,
            f"{(now << 144) + seq:056d}",
            now,
            now,
            STREAMS[seq % len(STREAMS)],
            LINE.format(number=seq),
            "live",
        )
        for seq in range(after + 1, after + count + 1)
    ]
    body = encode(Events(n=after + 1, after=after, seq=after + count, items=items))
    return b"\x81\x7f" + len(body).to_bytes(8, "big") + body


async def _main(rate: int) -> None:
    loop = asyncio.get_running_loop()
    peers: list[asyncio.Transport] = []
    server = await loop.create_server(lambda: _Peer(peers), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the ready line
    ended = loop.run_in_executor(None, sys.stdin.read)
    started, seq = loop.time(), 0
    while not ended.done():
        due = int((loop.time() - started) * rate)
        while seq < due:
            count = min(FRAME_EVENTS_MAX, due - seq)
            data = frame(seq, count)
            seq += count
            for peer in peers:
                peer.write(data)
            await asyncio.sleep(0)
        await asyncio.wait([ended], timeout=ROUND_S)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
