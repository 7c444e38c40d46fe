"""Many viewers of one log group on two servers, which share its journal through PostgreSQL.

One process ingests, two serve half of the viewers each.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from common.errors import GaplessError
from common.http import request
from simulator.programs.postgres import PostgresServer
from tests.bench.goals import figure
from tests.bench.lag import standin
from tests.bench.standin import GROUP
from tests.bench.viewers import WARM_S, Memory, Report, crowd_of, sample
from tests.support.processes.gapless_processes import GaplessProcess, wait_until

SERVERS = 2


def measure(viewers: int, rate: int, seconds: float) -> Iterator[str]:
    """Yield the lines of the report."""
    engine = PostgresServer()
    engine.start()
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            standin(rate, WARM_S + seconds + 120) as (writer, url),
            ExitStack() as stack,
        ):
            assert writer.stdin is not None

            def start(name: str, role: str, *options: str) -> GaplessProcess:
                process = GaplessProcess(
                    *("forward", GROUP, "--endpoint-url", url, "--region", "us-east-1"),
                    *("--journal", engine.url, "--role", role, "--port", "0", "--no-token"),
                    *("--views", str(Path(folder) / name), "--live", "poll", *options),
                    state=Path(folder),
                )
                return stack.enter_context(process)

            owner = start("owner", "ingest")
            room = "--max-viewers", str(viewers + 1)
            servers = [start(f"server-{number}", "serve", *room) for number in range(SERVERS)]
            for one in servers:
                wait_until(lambda one=one: _is_ready(one), "a server")  # type: ignore[misc]
            writer.stdin.write(b"go\n")
            writer.stdin.flush()
            threading.Event().wait(WARM_S)
            memory = Memory(owner.popen.pid)
            before, started = memory.cpu_s(), time.monotonic()
            reports = _watch(servers, viewers // SERVERS, seconds)
            used = (memory.cpu_s() - before) * 100 / (time.monotonic() - started)
    finally:
        engine.remove()
    yield figure(
        f"{viewers:,} viewers, {rate:,} events/s each",
        f"{sum(one.per_s for one in reports):,.0f} events/s in all",
    )
    yield figure("the ingesting process", f"CPU {used:.0f} % of a core")
    for number, report in enumerate(reports, 1):
        memory_kb = report.loaded_mb * 1000 / report.viewers
        yield figure(
            f"server {number}",
            f"CPU {report.cpu_percent:.0f} % of a core, {memory_kb:.0f} kB a viewer, from writing"
            f" p50 {report.got.lag_p50:,.0f} ms, p99 {report.got.lag_p99:,.0f} ms",
        )


def _watch(servers: list[GaplessProcess], viewers: int, seconds: float) -> list[Report]:
    """Connect the viewers of all servers, then measure all at once."""
    with ExitStack() as stack:
        parts = []
        for one in servers:
            memory = Memory(one.popen.pid)
            port = int(one.ready()["http"].rpartition(":")[2])
            before = memory.now()
            parts.append((memory, before, stack.enter_context(crowd_of(port, viewers, 0))))
        with ThreadPoolExecutor(SERVERS) as pool:
            return list(
                pool.map(
                    lambda part: sample("", part[2], part[0], part[1], viewers, seconds), parts
                )
            )


def _is_ready(process: GaplessProcess) -> bool:
    try:
        request(f"{process.ready()['http']}/readyz")
    except GaplessError:
        return False
    return True
