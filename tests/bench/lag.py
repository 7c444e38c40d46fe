"""Time from writing an event to the viewer's output, and the CPU and memory used."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil

from tests.bench.standin import GROUP
from tests.support.processes.gapless_processes import GaplessProcess, forwarder


class Cost(NamedTuple):
    """One process: mean CPU in percent of a core, and memory at the end."""

    cpu_percent: float
    rss_mb: float


class LagReport(msgspec.Struct):
    """Results of one run; lags in ms."""

    rate: int
    events: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    costs: dict[str, Cost]


@contextmanager
def standin(rate: int, seconds: float) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run the stand-in; yields its process and URL. A line on its stdin starts the writing."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.standin", str(rate), str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process, f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def measure(rate: int, seconds: float) -> LagReport:
    """Run stand-in, forwarder and viewer as processes, and time every event."""
    with tempfile.TemporaryDirectory() as folder, standin(rate, seconds) as (writer, url):
        state = Path(folder)
        with forwarder(GROUP, url, state) as process:
            websocket = process.ready()["websocket"]
            options = ("--output", "json", "--order", "arrival")
            with GaplessProcess("tail", websocket, *options, state=state) as viewer:
                return _run(rate, writer, process, viewer)


def _run(
    rate: int, writer: subprocess.Popen[bytes], process: GaplessProcess, viewer: GaplessProcess
) -> LagReport:
    assert writer.stdin is not None
    assert writer.stdout is not None
    processes = {
        "stand-in": writer.pid,
        "forwarder": process.popen.pid,
        "viewer": viewer.popen.pid,
    }
    before = {name: _cpu_s(pid) for name, pid in processes.items()}
    started = time.monotonic()
    writer.stdin.write(b"go\n")
    writer.stdin.flush()
    written = int(writer.stdout.readline())
    elapsed = time.monotonic() - started
    costs = {
        name: Cost((_cpu_s(pid) - before[name]) * 100 / elapsed, _rss_mb(pid))
        for name, pid in processes.items()
    }
    viewer.out.wait_for(written, "events")
    lags = sorted(at / 1e6 - json.loads(line)["timestamp"] for at, line in viewer.out.stamped())
    return LagReport(
        rate=rate,
        events=len(lags),
        p50_ms=lags[len(lags) // 2],
        p99_ms=lags[len(lags) * 99 // 100],
        max_ms=lags[-1],
        costs=costs,
    )


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _rss_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 1e6
