"""Many viewers of one log group on two servers, which share its journal through PostgreSQL.

One process ingests, two serve half of the viewers each. A plain broadcast of the same bytes to as
many viewers shows what the machine can do: it needs no less CPU for the viewers themselves.
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
from tests.bench.viewers import WARM_S, Memory, Report, broadcast, crowd_of, sample
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
            reports, clients = _watch(servers, viewers // SERVERS, seconds)
            used = (memory.cpu_s() - before) * 100 / (time.monotonic() - started)
    finally:
        engine.remove()
    limit = broadcast(viewers, rate, seconds)
    yield figure(
        f"{viewers:,} viewers, {rate:,} events/s each",
        f"{sum(one.per_s for one in reports):,.0f} events/s in all",
    )
    yield figure(
        "a bare broadcast to as many (limit)",
        f"{limit.per_s:,.0f} events/s in all, CPU {limit.cpu_percent:.0f} % of a core, from"
        f" writing p50 {limit.got.lag_p50:,.0f} ms, p99 {limit.got.lag_p99:,.0f} ms",
    )
    yield figure("the ingesting process", f"CPU {used:.0f} % of a core")
    yield figure("the viewers", f"CPU {clients:.0f} % of a core, in {SERVERS} processes")
    for number, report in enumerate(reports, 1):
        memory_kb = report.loaded_mb * 1000 / report.viewers
        yield figure(
            f"server {number}",
            f"CPU {report.cpu_percent:.0f} % of a core, {report.per_s:,.0f} events/s,"
            f" {memory_kb:.0f} kB a viewer, from writing"
            f" p50 {report.got.lag_p50:,.0f} ms, p99 {report.got.lag_p99:,.0f} ms",
        )


def _watch(
    servers: list[GaplessProcess], viewers: int, seconds: float
) -> tuple[list[Report], float]:
    """Connect the viewers of all servers, then measure all at once, and the viewers' CPU."""
    with ExitStack() as stack:
        parts = []
        for one in servers:
            memory = Memory(one.popen.pid)
            port = int(one.ready()["http"].rpartition(":")[2])
            before = memory.now()
            parts.append((memory, before, stack.enter_context(crowd_of(port, viewers, 0))))
        clients = [Memory(crowd.pid) for _, _, crowd in parts]
        before_s, started = sum(one.cpu_s() for one in clients), time.monotonic()
        with ThreadPoolExecutor(SERVERS) as pool:
            reports = list(
                pool.map(
                    lambda part: sample("", part[2], part[0], part[1], viewers, seconds), parts
                )
            )
        used_s = sum(one.cpu_s() for one in clients) - before_s
        return reports, used_s * 100 / (time.monotonic() - started)


def _is_ready(process: GaplessProcess) -> bool:
    try:
        request(f"{process.ready()['http']}/readyz")
    except GaplessError:
        return False
    return True
