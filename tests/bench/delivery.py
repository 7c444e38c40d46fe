"""Throughput from the journal to a minimal client, with a real forwarder."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from websockets.sync.client import connect

from tests.bench.lag import standin
from tests.bench.pages import Rate
from tests.bench.standin import GROUP
from tests.support.processes.gapless_processes import forwarder
from wire.codec import decode_server, encode
from wire.limits import CLIENT_FRAME_BYTES_MAX
from wire.messages import Backfill, Events, Item

EVENTS = 200_000
WRITE_PER_S = 100_000


def measure() -> list[Rate]:
    """Measure history of ``EVENTS`` events: fetched from CloudWatch, then from the journal."""
    with tempfile.TemporaryDirectory() as folder, standin(WRITE_PER_S, 2) as (writer, url):
        assert writer.stdin is not None
        assert writer.stdout is not None
        written = _write(writer)
        with forwarder(GROUP, url, Path(folder)) as process:
            websocket = process.ready()["websocket"]
            first = _receive(websocket, written)
            second = _receive(websocket, written)
        frames = _frames(written)
        return [
            Rate("decode such frames and nothing else", written / _decode(frames), "limit"),
            Rate("from CloudWatch through journal to viewer", written / first, f"{written:,}"),
            Rate("from journal to viewer", written / second, f"{written:,}"),
        ]


def _write(writer: subprocess.Popen[bytes]) -> int:
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdin.write(b"go\n")
    writer.stdin.flush()
    return int(writer.stdout.readline())


def _receive(url: str, count: int) -> float:
    """Seconds until ``count`` events were received and decoded."""
    started = time.perf_counter()
    got = 0
    since = time.time_ns() // 1_000_000 - 600_000
    with connect(f"{url}?since={since}", max_size=CLIENT_FRAME_BYTES_MAX, compression=None) as one:
        while got < count:
            message = decode_server(one.recv(decode=False))
            if isinstance(message, Events):
                got += len(message.items)
            elif isinstance(message, Backfill) and message.done:
                assert got >= count, f"history ended after {got} of {count} events"
    return time.perf_counter() - started


def _frames(count: int) -> list[bytes]:
    line = "INFO worker-3 request finished status=200 duration_ms=12 path=/v1/orders/4711 user=4711"
    size = 500
    return [
        encode(
            Events(
                n=number + 1,
                after=number * size,
                seq=(number + 1) * size,
                items=[
                    Item(seq, f"{seq:056d}", seq, seq, "job/main/0001", line, "live")
                    for seq in range(number * size + 1, (number + 1) * size + 1)
                ],
            )
        )
        for number in range(count // size)
    ]


def _decode(frames: list[bytes]) -> float:
    started = time.perf_counter()
    for frame in frames:
        decode_server(frame)
    return time.perf_counter() - started
