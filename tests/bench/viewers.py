"""Many viewers of one log group, without filters, with and without a stalled viewer.

For comparison, a plain broadcast of the same bytes shows the machine's limit.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import psutil

from tests.bench.crowd import Got
from tests.bench.lag import standin
from tests.bench.standin import GROUP
from tests.support.processes.gapless_processes import forwarder

SAMPLE_S: Final = 0.1
WARM_S: Final = 5
"""Seconds with a single viewer before the others connect."""


class Report(msgspec.Struct):
    """Results of one run."""

    what: str
    viewers: int
    events: int
    """Events written while the viewers were connected."""
    got: Got
    per_s: float
    """Events delivered, summed over all viewers."""
    cpu_percent: float
    """CPU of the server process, percent of a core."""
    idle_mb: float
    loaded_mb: float
    """Memory added by the viewers: after they connected, and the peak under load."""

    def kb_a_viewer(self, alone: Report) -> tuple[float, float]:
        """Memory per viewer, idle and loaded, in kB; excludes a single viewer's, since the
        journal's caches grow for a minute with any number of viewers."""
        more = self.viewers - alone.viewers
        return (
            self.idle_mb * 1000 / more,
            (self.loaded_mb - alone.loaded_mb) * 1000 / more,
        )


class Memory:
    """Samples a process's memory and keeps the peak; knows its CPU time."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self.most = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def now(self) -> int:
        return int(self._process.memory_info().rss)

    def cpu_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def watch(self) -> None:
        self._thread.start()

    def stop(self) -> int:
        self._stop.set()
        self._thread.join()
        return self.most

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            self.most = max(self.most, self.now())


def measure(viewers: int, rate: int, seconds: float) -> Iterator[Report]:
    """Measure the limit, then the forwarder: one viewer, all, and all with a stalled one."""
    yield broadcast(viewers, rate, seconds)
    yield _forwarder("forwarder, one viewer", 1, rate, seconds, stalled=0)
    yield _forwarder("forwarder", viewers, rate, seconds, stalled=0)
    yield _forwarder("forwarder, one viewer stalled", viewers, rate, seconds, stalled=1)


def broadcast(viewers: int, rate: int, seconds: float) -> Report:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.broadcast", str(rate)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        memory = Memory(process.pid)
        with crowd_of(port, 1, 0):
            time.sleep(1)
        before = memory.now()
        with crowd_of(port, viewers, 0) as crowd:
            return sample("bare broadcast (limit)", crowd, memory, before, viewers, seconds)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def _forwarder(what: str, viewers: int, rate: int, seconds: float, *, stalled: int) -> Report:
    with (
        tempfile.TemporaryDirectory() as folder,
        standin(rate, WARM_S + seconds + 60) as (
            writer,
            url,
        ),
    ):
        assert writer.stdin is not None
        with forwarder(GROUP, url, Path(folder), "--max-viewers", str(viewers + 1)) as process:
            port = int(process.ready()["http"].rpartition(":")[2])
            writer.stdin.write(b"go\n")
            writer.stdin.flush()
            memory = Memory(process.popen.pid)
            with crowd_of(port, 1, 0):
                time.sleep(WARM_S)
            before = memory.now()
            with crowd_of(port, viewers, stalled) as crowd:
                return sample(what, crowd, memory, before, viewers, seconds)


@contextmanager
def crowd_of(port: int, count: int, stalled: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.crowd", str(port), str(count), str(stalled)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert json.loads(process.stdout.readline())["connected"] == count
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def sample(
    what: str,
    crowd: subprocess.Popen[bytes],
    memory: Memory,
    before: int,
    viewers: int,
    seconds: float,
) -> Report:
    assert crowd.stdin is not None
    assert crowd.stdout is not None
    connected = memory.now()
    memory.watch()
    cpu_s, started = memory.cpu_s(), time.monotonic()
    time.sleep(seconds)
    cpu_s, passed = memory.cpu_s() - cpu_s, time.monotonic() - started
    crowd.stdin.write(b"enough\n")
    crowd.stdin.flush()
    got = msgspec.json.decode(crowd.stdout.readline(), type=Got)
    most = memory.stop()
    return Report(
        what=what,
        viewers=viewers,
        events=got.least,
        got=got,
        per_s=got.events / passed,
        cpu_percent=cpu_s * 100 / passed,
        idle_mb=(connected - before) / 1e6,
        loaded_mb=(most - before) / 1e6,
    )
