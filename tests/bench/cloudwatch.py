"""Compares the simulator's CloudWatch with unpatched moto: writes, reads, memory, startup.

Both run as processes and get the same HTTP requests. Each figure names the number of events
stored; unpatched moto gets fewer, since it sorts all of them at each call. The last lines measure
the storage alone, without HTTP.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import psutil

from simulator.cloudwatch import Mode, wall_clock_ms
from simulator.cloudwatch.logs import GroupStore, Logs, StreamStore, first_key
from simulator.cloudwatch.parameters import collect

EVENTS: Final[dict[Mode, int]] = {"faithful": 1_000_000, "moto": 50_000}
BATCH: Final = 1_000
GROUP: Final = "/bench"
STREAMS: Final = 4
READS: Final = 20
LINE: Final = (
    "INFO worker-3 request finished status=200 duration_ms=12 path=/v1/orders/{:08d} user=4711"
)


class Figures(NamedTuple):
    """Figures of one server; times in ms, ``put_per_s`` and ``stored`` in events."""

    name: str
    stored: int
    ready_ms: float
    put_per_s: float
    bytes_an_event: float
    read_10_ms: float
    read_10_cpu_ms: float
    describe_cpu_ms: float


class _Server:
    def __init__(self, process: subprocess.Popen[str], address: str, ready_ms: float) -> None:
        self.process = psutil.Process(process.pid)
        self.address = address
        self.ready_ms = ready_ms

    def ask(self, action: str, body: bytes) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=600)
        scope = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/logs/aws4_request, x=y"
        headers = {
            "X-Amz-Target": f"Logs_20140328.{action}",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": scope,
        }
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        assert answer.status == http.client.OK, text

    def cost(self, action: str, **parameters: object) -> tuple[float, float]:
        """Elapsed and CPU time of a call in ms."""
        body = json.dumps({"logGroupName": GROUP, **parameters}).encode()
        self.ask(action, body)
        cpu, started = _cpu_s(self.process), time.perf_counter()
        for _ in range(READS):
            self.ask(action, body)
        passed = time.perf_counter() - started
        return passed / READS * 1_000, (_cpu_s(self.process) - cpu) / READS * 1_000


def report() -> Iterator[str]:
    """Yield the lines of the report."""
    yield (
        f"{'':>9} {'stored':>9} {'ready ms':>9} {'put events/s':>13} {'B an event':>11}"
        f" {'read 10: ms':>12} {'CPU ms':>7} {'describe: CPU ms':>17}"
    )
    for mode in EVENTS:
        one = measure(mode)
        yield (
            f"{one.name:>9} {one.stored:>9,} {one.ready_ms:>9.0f} {one.put_per_s:>13,.0f}"
            f" {one.bytes_an_event:>11.0f} {one.read_10_ms:>12.2f} {one.read_10_cpu_ms:>7.2f}"
            f" {one.describe_cpu_ms:>17.2f}"
        )
    yield f"the storage alone, {EVENTS['faithful']:,} events:"
    for what, ms in backend():
        yield f"{ms:>9.3f} ms  {what}"


def backend() -> list[tuple[str, float]]:
    """Measure the storage alone with a million events: (description, ms per call)."""
    store, now_ms = GroupStore(GROUP), wall_clock_ms()
    store.streams = {str(number): StreamStore() for number in range(STREAMS)}
    logs = Logs(lambda: now_ms)
    count = EVENTS["faithful"]
    for start in range(0, count, BATCH):
        pairs = [
            (now_ms - count + number, LINE.format(number)) for number in range(start, start + BATCH)
        ]
        logs.put(store, str(start // BATCH % STREAMS), pairs)
    low, high = first_key(now_ms - 1_000), first_key(now_ms + 1)
    late = first_key(now_ms - count)
    return [
        ("read limit=10 near the end", _ms(lambda: collect(store.read(None, low, high), 10))),
        ("read the last 1,000", _ms(lambda: collect(store.read(None, low, high), 10_000))),
        (
            "read the last 250 of one log stream",
            _ms(lambda: collect(store.read(["0"], low, high), 10_000)),
        ),
        (
            "read limit=10 from the beginning",
            _ms(lambda: collect(store.read(None, late, high), 10)),
        ),
        (
            "put 1,000 events that are late",
            _ms(lambda: logs.put(store, "0", [(now_ms - count // 2, "late")] * BATCH)),
        ),
    ]


def measure(mode: Mode) -> Figures:
    """Measure a server in one mode."""
    with _serve(mode) as server:
        for number in range(STREAMS):
            _make(server, f"stream-{number}")
        before = server.process.memory_info().rss
        count = EVENTS[mode]
        bodies = _bodies(count)
        seconds = 0.0
        for body in bodies:
            started = time.perf_counter()
            server.ask("PutLogEvents", body)
            seconds += time.perf_counter() - started
        memory = server.process.memory_info().rss - before
        now_ms = wall_clock_ms()
        elapsed, cpu = server.cost("FilterLogEvents", startTime=now_ms - 60_000, limit=10)
        _, describe = server.cost("DescribeLogStreams")
        return Figures(
            mode,
            count,
            server.ready_ms,
            count / seconds,
            memory / count,
            elapsed,
            cpu,
            describe,
        )


def _bodies(count: int) -> Iterator[bytes]:
    now_ms = wall_clock_ms()
    for start in range(0, count, BATCH):
        # The last ten seconds hold the last thousand events, whatever the count.
        at = now_ms - (count - start) * 10
        yield json.dumps(
            {
                "logGroupName": GROUP,
                "logStreamName": f"stream-{start // BATCH % STREAMS}",
                "logEvents": [
                    {"timestamp": at + number * 10, "message": LINE.format(start + number)}
                    for number in range(BATCH)
                ],
            }
        ).encode()


def _make(server: _Server, stream: str) -> None:
    server.ask(
        "CreateLogStream",
        json.dumps({"logGroupName": GROUP, "logStreamName": stream}).encode(),
    )


@contextmanager
def _serve(mode: Mode) -> Iterator[_Server]:
    started = time.perf_counter()
    command = [sys.executable, "-m", "simulator.moto_process", "--mode", mode, "--group", GROUP]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready: dict[str, Any] = json.loads(process.stdout.readline())
        address = urlsplit(ready["cloudwatch"]).netloc
        yield _Server(process, address, (time.perf_counter() - started) * 1_000)
    finally:
        process.terminate()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _ms(step: Callable[[], object]) -> float:
    step()
    started = time.perf_counter()
    for _ in range(READS):
        step()
    return (time.perf_counter() - started) / READS * 1_000
