"""Older lines on demand, from a real forwarder over raw moto."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.network.kept_port import kept_port
from tests.support.network.middlebox import Middlebox
from tests.support.processes.gapless_processes import forwarder
from tests.support.processes.log_writer import now_ms
from tests.support.processes.moto_server import RawMoto, raw_moto
from tests.support.pseudo_terminal import TerminalProcess
from tests.support.viewer.scripted_forwarder import eventually
from tui.client.engine import Engine
from tui.client.target import TargetSpec
from tui.lines.rows import Line, Rule

HOUR = 3_600_000
GROUP, OTHER = "/jobs/old", "/jobs/other"

pytestmark = pytest.mark.timeout(600)


def write(moto: RawMoto, group: str, hours: list[int], lines: int = 20) -> list[str]:
    """Write some lines at each of these ages; returns their texts, oldest first."""
    moto.create(group, "s")
    now, texts = now_ms(), list[str]()
    for age in sorted(hours, reverse=True):
        batch = [
            (now - age * HOUR - lines + n, f"{group} {age} h ago, line {n}") for n in range(lines)
        ]
        moto.put(group, "s", batch)
        texts += [text for _, text in batch]
    return texts


@asynccontextmanager
async def watching(*specs: TargetSpec, capacity: int = 100_000) -> AsyncIterator[Engine]:
    engine = Engine(list(specs), rng=random.Random(0), capacity=capacity, is_watched=True)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


def spec(url: str, group: str = GROUP, minutes: int = 10) -> TargetSpec:
    return TargetSpec(url=url, group=group, since=now_ms() - minutes * 60_000)


def texts(engine: Engine) -> list[str]:
    return [row.message for row in engine.timeline.iterate() if isinstance(row, Line)]


def rule(engine: Engine) -> Rule:
    found = [row for row in engine.timeline.iterate() if isinstance(row, Rule)]
    return next(row for row in found if row.kind == "older")


def is_at_rest(engine: Engine) -> bool:
    return not engine.older.is_fetching and engine.complete_through is not None


async def test_an_hour_and_then_all_from_two_groups_while_the_forwarder_restarts(
    tmp_path: Path,
) -> None:
    ages = [0, 1, 2, 30, 200]
    with raw_moto() as moto, kept_port() as port:
        one, other = write(moto, GROUP, ages), write(moto, OTHER, ages)
        with forwarder(GROUP, moto.url, tmp_path, "--any-group", port=port) as first:
            url = first.ready()["websocket"]
            async with watching(spec(url), spec(url, OTHER)) as engine:
                await eventually(lambda: len(texts(engine)) == 40 and engine.is_backfilled)
                engine.older.fetch_more()
                await eventually(lambda: len(texts(engine)) == 80 and is_at_rest(engine))
                assert rule(engine).state == ""
                start_ms = rule(engine).through_ms or 0
                assert now_ms() - 2 * HOUR < start_ms < now_ms() - HOUR
                engine.older.fetch_from(0)
                first.kill()
                with forwarder(GROUP, moto.url, tmp_path, "--any-group", port=port) as second:
                    second.ready()
                    await eventually(lambda: engine.older.is_at_beginning and is_at_rest(engine))
                    assert sorted(texts(engine)) == sorted([*one, *other])
                    assert engine.timeline.row(0) == rule(engine)
                    assert rule(engine).state == "beginning"
                    assert [session.since for session in engine.sessions] == [0, 0]
                    status = engine.status
                    assert (status.duplicates >= 0, status.missing) == (True, 0)
                    assert not status.unequal


async def test_where_upgrades_are_refused_polling_brings_older_lines(tmp_path: Path) -> None:
    with raw_moto() as moto:
        written = write(moto, GROUP, [0, 1, 40])
        client = moto.client()
        client.put_retention_policy(logGroupName=GROUP, retentionInDays=7)
        client.close()
        with forwarder(GROUP, moto.url, tmp_path) as process:
            websocket = urlsplit(process.ready()["websocket"])
            with Middlebox(websocket.port or 0) as box:
                url = f"ws://127.0.0.1:{box.port}{websocket.path}"
                async with watching(spec(url)) as engine:
                    await eventually(lambda: len(texts(engine)) == 20 and is_at_rest(engine))
                    engine.older.fetch_from(now_ms() - 45 * HOUR)
                    await eventually(lambda: len(texts(engine)) == 60 and is_at_rest(engine))
                    assert texts(engine) == written
                    assert not engine.status.missing
                    # Polling learns what heartbeats say.
                    report = engine.sessions[0].report
                    await eventually(lambda: report.upstream and report.upstream.retention_ms)
                    upstream = report.upstream
                    assert upstream is not None
                    assert upstream.retention_ms == 7 * 24 * HOUR
                    kept_ms = now_ms() - (upstream.oldest or 0)
                    assert 7 * 24 * HOUR <= kept_ms < 8 * 24 * HOUR
                    engine.older.fetch_from(0)
                    await eventually(lambda: engine.older.is_at_beginning and is_at_rest(engine))
                    assert rule(engine).reason.endswith("(it keeps events for 7 days)")


async def test_evicted_lines_do_not_stop_the_way_to_the_oldest_one(tmp_path: Path) -> None:
    """More lines than the memory takes: the oldest are counted, and fetched when wanted."""
    with raw_moto() as moto:
        written = write(moto, GROUP, [0, 1, 5], lines=9_000)
        with forwarder(GROUP, moto.url, tmp_path) as process:
            async with watching(spec(process.ready()["websocket"]), capacity=5_000) as engine:
                timeline = engine.timeline
                await eventually(lambda: engine.is_backfilled and timeline.evicted > 0)
                reached: list[int] = []
                engine.older.fetch_from(0, lambda: reached.append(1))
                await eventually(lambda: reached and is_at_rest(engine))
                assert timeline.lines + timeline.evicted == 27_000
                oldest = timeline.oldest_line
                assert oldest is not None
                engine.refetcher.fetch_at(oldest, lambda: reached.append(2))
                await eventually(lambda: 2 in reached)
                assert texts(engine)[0] == written[0]


def test_g_on_the_screen_reaches_the_oldest_line(tmp_path: Path) -> None:
    with raw_moto() as moto:
        write(moto, GROUP, [0, 1, 100])
        aws = ("--endpoint-url", moto.url, "--region", "us-east-1")
        words = ("tail", GROUP, "--since", "10m", *aws)
        with TerminalProcess(*words, state=tmp_path) as terminal:
            terminal.wait_for("0 h ago, line 19")
            terminal.wait_for("COMPLETE")
            terminal.press("g")
            terminal.wait_for("100 h ago, line 0")
            terminal.wait_for("beginning of the log group")
            terminal.press("q")
