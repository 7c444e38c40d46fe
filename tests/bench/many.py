"""Many idle log groups on one forwarder: memory, CPU, calls, and time until all are read.

An unpatched moto server has the log groups, each with a few lines of some minutes ago. A forwarder
follows the pattern; then a background forwarder and a viewer show all of it.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import boto3
import psutil

from common.http import request
from tests.bench.goals import Goal
from tests.support.processes.gapless_processes import GaplessProcess, wait_until
from tests.support.processes.moto_server import RawMoto, put_events, raw_moto

LINES: Final = 5
"""Lines of each log group."""

AGE_MS: Final = 10 * 60_000
"""Age of the lines."""

SETTLE_S: Final = 100
"""Pause before CPU and memory are measured: what belongs to the start has ended."""

PATTERN: Final = "/svc/*"
BUSY: Final = "/busy"

ALIVE: Final = 20
"""Log groups of the churn that exist at the same time."""

MEMORY: Final = Goal(80, "MB")
CPU: Final = Goal(5, "%")
READY: Final = Goal(3, "s")


class Usage(NamedTuple):
    """Resources of a process."""

    rss_mb: float
    cpu_percent: float
    threads: int
    descriptors: int


class Meter:
    """Measures a process's resources from its creation on."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._begun_s, self._cpu_s = time.monotonic(), self._used_s()

    def _used_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def read(self) -> Usage:
        """The CPU since the creation, and the rest as of now."""
        passed_s = time.monotonic() - self._begun_s
        return Usage(
            self._process.memory_info().rss / 1e6,
            (self._used_s() - self._cpu_s) * 100 / passed_s,
            self._process.num_threads(),
            self._process.num_fds(),
        )


def name_of(number: int) -> str:
    """Name of a log group."""
    return f"/svc/team-{number % 7}/service-{number:03}"


def fill(moto: RawMoto, groups: int, region: str = "us-east-1") -> None:
    """Create the log groups with their lines."""
    at_ms = time.time_ns() // 1_000_000 - AGE_MS
    client = boto3.client(
        "logs",
        endpoint_url=moto.url,
        region_name=region,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    for number in range(groups):
        name = name_of(number)
        client.create_log_group(logGroupName=name)
        client.create_log_stream(logGroupName=name, logStreamName="s")
        put_events(client, name, "s", [(at_ms + line, f"line {line}") for line in range(LINES)])
    client.close()


def report(groups: int, seconds: float, region: str) -> Iterator[str]:
    """Yield the lines of the report.

    Args:
        groups: Number of log groups.
        seconds: How long CPU and calls are measured.
        region: Region whose quota the forwarder keeps.
    """
    with raw_moto() as moto, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        fill(moto, groups, region)
        where = ("--endpoint-url", moto.url, "--region", region)
        yield from _forwarder_alone(Path(folder) / "one", groups, seconds, where)
        yield from _with_viewer(Path(folder) / "two", groups, seconds, where)


def churn(seconds: float, groups: int = 300) -> Iterator[str]:
    """Yield the lines of a report on log groups that are created and deleted beside a busy one.

    Args:
        seconds: Time in which all are created and deleted again; as long again before, without.
        groups: How many.
    """
    with raw_moto() as moto, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        state, client, stop = Path(folder), moto.client(), threading.Event()
        moto.create(BUSY, "s")
        options = ("--port", "0", "--no-token", "--journal", str(state / "journals"))
        where = ("--endpoint-url", moto.url, "--region", "us-east-1")
        with GaplessProcess("forward", BUSY, PATTERN, *where, *options, state=state) as process:
            ready = process.ready()
            target = f"{ready['websocket']}?group={BUSY}"
            arrival = ("--output", "json", "--order", "arrival")
            with GaplessProcess("tail", target, *arrival, state=state) as viewer:
                writer = threading.Thread(target=_write_busy, args=(moto, stop), daemon=True)
                writer.start()
                time.sleep(SETTLE_S / 2)
                before, meter = Meter(process.popen.pid).read(), Meter(process.popen.pid)
                first = len(viewer.out.so_far())
                time.sleep(seconds)
                yield f"without: {_lags(viewer, first)}; {meter.read().cpu_percent:.1f} % of a core"
                first, meter = len(viewer.out.so_far()), Meter(process.popen.pid)
                begun_s, alive = time.monotonic(), deque[str]()
                for number in range(groups):
                    name = f"/svc/churn-{number:03}"
                    client.create_log_group(logGroupName=name)
                    client.create_log_stream(logGroupName=name, logStreamName="s")
                    put_events(client, name, "s", [(time.time_ns() // 1_000_000, "one")])
                    alive.append(name)
                    if len(alive) > ALIVE:
                        client.delete_log_group(logGroupName=alive.popleft())
                    time.sleep(
                        max(0.0, begun_s + (number + 1) * seconds / groups - time.monotonic())
                    )
                while alive:
                    client.delete_log_group(logGroupName=alive.popleft())
                yield f"with:    {_lags(viewer, first)}; {meter.read().cpu_percent:.1f} % of a core"
                wait_until(lambda: _get(ready, "/v1/groups") == [BUSY], "the feeds to end")
                time.sleep(SETTLE_S / 2)
                after = Meter(process.popen.pid).read()
                yield (
                    f"before and after: {before.rss_mb:.0f} and {after.rss_mb:.0f} MB,"
                    f" {before.descriptors} and {after.descriptors} descriptors,"
                    f" {before.threads} and {after.threads} threads"
                )
                stop.set()
                writer.join()
        client.close()


def _write_busy(moto: RawMoto, stop: threading.Event) -> None:
    client = moto.client()
    while not stop.wait(0.2):
        at_ms = time.time_ns() // 1_000_000
        put_events(client, BUSY, "s", [(at_ms, f"line {number}") for number in range(4)])
    client.close()


def _lags(viewer: GaplessProcess, first: int) -> str:
    stamped = viewer.out.stamped()[first:]
    lags = sorted(at / 1e6 - json.loads(line)["timestamp"] for at, line in stamped)
    p50, p99 = (lags[(len(lags) - 1) * percent // 100] for percent in (50, 99))
    return f"lag of the busy log group p50 {p50:,.0f} ms, p99 {p99:,.0f} ms ({len(lags)} lines)"


def _forwarder_alone(
    state: Path, groups: int, seconds: float, where: tuple[str, ...]
) -> Iterator[str]:
    state.mkdir()
    begun_s = time.monotonic()
    options = ("--port", "0", "--no-token", "--journal", str(state / "journals"))
    with GaplessProcess("forward", PATTERN, *where, *options, state=state) as process:
        ready = process.ready()
        line_s = time.monotonic() - begun_s
        wait_until(lambda: len(_get(ready, "/v1/groups")) == groups, "all feeds to be open")
        open_s = time.monotonic() - begun_s
        wait_until(lambda: _polled(ready) == groups, "the first poll of every log group")
        polled_s = time.monotonic() - begun_s
        yield (
            f"forward: accepts connections after {line_s:.1f} s, every feed open after"
            f" {open_s:.1f} s ({READY.judged(open_s)}), every present read after {polled_s:.1f} s"
        )
        yield f"forward: {_idle(process.popen.pid, ready, None, seconds)}"


def _with_viewer(state: Path, groups: int, seconds: float, where: tuple[str, ...]) -> Iterator[str]:
    state.mkdir()
    begun_ns = time.time_ns()
    options = (*where, "--since", "1h", "--output", "json")
    with GaplessProcess("tail", PATTERN, *options, state=state) as viewer:
        viewer.out.wait_for(groups * LINES, "lines")
        times_s = sorted((at - begun_ns) / 1e9 for at, _ in viewer.out.stamped())
        lock = next(iter(state.glob("xdg_state_home/gapless/accounts/*/journals.lock")))
        ready, token = _offer(lock)
        yield (
            f"tail: first line after {times_s[0]:.1f} s, half of them after"
            f" {times_s[len(times_s) // 2]:.1f} s, all after {times_s[-1]:.1f} s"
        )
        yield f"tail's forwarder: {_idle(ready['pid'], ready, token, seconds)}"


def _offer(lock: Path) -> tuple[dict[str, Any], str | None]:
    ready: dict[str, Any] = json.loads(lock.read_text(encoding="utf-8"))
    path = ready.get("token_file")
    return ready, None if path is None else Path(path).read_text(encoding="ascii").strip()


def _idle(pid: int, ready: dict[str, Any], token: str | None, seconds: float) -> str:
    time.sleep(SETTLE_S)
    meter, calls = Meter(pid), _calls(ready, token)
    time.sleep(seconds)
    used, made = meter.read(), (_calls(ready, token) - calls) / seconds
    return (
        f"{used.rss_mb:.0f} MB ({MEMORY.judged(used.rss_mb)}), {used.cpu_percent:.1f} % of a core"
        f" ({CPU.judged(used.cpu_percent)}), {made:.2f} calls/s, {used.threads} threads,"
        f" {used.descriptors} descriptors"
    )


def _get(ready: dict[str, Any], path: str, token: str | None = None) -> Any:  # noqa: ANN401 - JSON
    return request(f"{ready['http']}{path}", token=token)


def _metric(ready: dict[str, Any], token: str | None, name: str) -> list[float]:
    asked = urllib.request.Request(f"{ready['http']}/metrics")
    if token is not None:
        asked.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(asked) as answer:
        text = answer.read().decode()
    return [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name)]


def _polled(ready: dict[str, Any]) -> int:
    return int(sum(_metric(ready, None, "gapless_ready{")))


def _calls(ready: dict[str, Any], token: str | None) -> float:
    return sum(_metric(ready, token, "gapless_cloudwatch_calls_total"))
