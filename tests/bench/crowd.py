"""Many minimal viewers in one process, to measure the server that they connect to.

``python -m tests.bench.crowd PORT COUNT STALLED`` prints a line once all are connected, and after
a line on standard input a JSON object with the results. Viewers read only the frame headers;
every hundredth one decodes its frames to measure the lag.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import sys
import time
from typing import Any, Final, cast

import msgspec

from wire.codec import decode_server
from wire.messages import Events

BUFFER_BYTES: Final = 1 << 20
DECODES_EVERY: Final = 100
_HEAD: Final = re.compile(rb'\{"type":"events","n":\d+,"after":(\d+),"seq":(\d+),')
_HEAD_BYTES: Final = 120
_LENGTH_16, _LENGTH_64 = 126, 127


class Got(msgspec.Struct):
    """Results of all viewers but the stalled one; times in ms."""

    events: int = 0
    least: int = 0
    """Fewest events that a viewer received."""
    lag_p50: float = 0
    lag_p99: float = 0
    """Time from an event's timestamp to its decoding by a viewer."""
    spread_p50: float = 0
    spread_p99: float = 0
    """Time from a frame's arrival at the first viewer to its arrival at the last."""


class Crowd:
    """State shared by all viewers."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.buffer = bytearray(BUFFER_BYTES)
        self.connected = 0
        self.all_connected = asyncio.Event()
        self.viewers: list[Viewer] = []
        self.lags: list[float] = []
        self.frames: dict[int, list[float]] = {}
        """First and last arrival time of each frame, by the frame's last seq."""

    def welcome(self) -> None:
        self.connected += 1
        if self.connected == self.count:
            # Exclude frames that arrived while viewers were still connecting.
            for viewer in self.viewers:
                viewer.events = 0
            self.lags.clear()
            self.frames.clear()
            self.all_connected.set()

    def got(self) -> Got:
        events = [viewer.events for viewer in self.viewers if not viewer.is_stalled]
        spreads = sorted((last - first) * 1000 for first, last in self.frames.values()) or [0.0]
        lags = sorted(self.lags) or [0.0]
        return Got(
            events=sum(events),
            least=min(events),
            lag_p50=_share(lags, 50),
            lag_p99=_share(lags, 99),
            spread_p50=_share(spreads, 50),
            spread_p99=_share(spreads, 99),
        )


class Viewer(asyncio.BufferedProtocol):
    """Parses frame headers as they arrive and discards payloads."""

    def __init__(self, crowd: Crowd, *, decodes: bool, is_stalled: bool) -> None:
        self.crowd, self.decodes, self.is_stalled = crowd, decodes, is_stalled
        self.events = 0
        self._is_open = False
        self._kept = bytearray()
        self._left = 0
        self._seq: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        since = time.time_ns() // 1_000_000
        self._transport.write(
            f"GET /v1/tail?since={since} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - the protocol's own
        return self.crowd.buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = memoryview(self.crowd.buffer)[:nbytes]
        while len(data):
            if self._left and not self.decodes and len(self._kept) >= _HEAD_BYTES:
                step = min(self._left, len(data))
                self._left -= step
                data = data[step:]
                if not self._left:
                    self._end()
                continue
            step = min(len(data), self._wanted())
            self._kept += data[:step]
            data = data[step:]
            if self._left:
                self._left -= step
                if not self._left:
                    self._end()
            else:
                self._head()

    def _wanted(self) -> int:
        """Number of bytes to read next: one in a header, more in a payload."""
        if not self._left:
            return 1
        return self._left if self.decodes else min(self._left, _HEAD_BYTES - len(self._kept))

    def _head(self) -> None:
        kept = self._kept
        if not self._is_open:
            if kept.endswith(b"\r\n\r\n"):
                assert kept.startswith(b"HTTP/1.1 101"), bytes(kept)
                self._is_open = True
                kept.clear()
                self.crowd.welcome()
                if self.is_stalled:
                    self._transport.pause_reading()
            return
        if len(kept) < 2:
            return
        size = kept[1]
        more = {_LENGTH_16: 2, _LENGTH_64: 8}.get(size, 0)
        if len(kept) == 2 + more:
            self._left = int.from_bytes(kept[2:], "big") if more else size
            kept.clear()

    def _end(self) -> None:
        found = _HEAD.match(self._kept)
        if found is not None:
            self.events += int(found[2]) - int(found[1])
            now = time.perf_counter()
            times = self.crowd.frames.setdefault(int(found[2]), [now, now])
            times[1] = now
            if self.decodes:
                self._decode()
        self._kept.clear()

    def _decode(self) -> None:
        message = decode_server(bytes(self._kept))
        assert isinstance(message, Events)
        now_ms = time.time_ns() / 1e6
        self.crowd.lags += [now_ms - item.timestamp for item in message.items]


def _share(values: list[float], percent: int) -> float:
    return values[min(len(values) - 1, len(values) * percent // 100)]


async def _main(port: int, count: int, stalled: int) -> None:
    loop = asyncio.get_running_loop()
    crowd = Crowd(count)
    for number in range(count):

        def make(number: int = number) -> Viewer:
            is_stalled = number >= count - stalled
            decodes = number % DECODES_EVERY == 0 and not is_stalled
            viewer = Viewer(crowd, decodes=decodes, is_stalled=is_stalled)
            crowd.viewers.append(viewer)
            return viewer

        await loop.create_connection(make, "127.0.0.1", port)
    await crowd.all_connected.wait()
    _say({"connected": count})
    await loop.run_in_executor(None, sys.stdin.readline)
    _say(msgspec.to_builtins(crowd.got()))


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.encode(what).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main(*(int(one) for one in sys.argv[1:4])))
