"""A journal shared through PostgreSQL beside one in SQLite alone, on the same machine."""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from random import random
from statistics import median, quantiles
from typing import Final

from forwarder.cloudwatch.clock import timer_ms
from forwarder.cloudwatch.reader import decode_page
from forwarder.cluster.catching_up import catch_up
from forwarder.cluster.engine import EngineThread
from forwarder.cluster.postgres import PostgresEngine
from forwarder.cluster.replicated import ReplicatedJournal
from forwarder.cluster.view import View
from forwarder.groups.leasing import LEASE_MS
from forwarder.journal.contract import Journal
from forwarder.journal.sqlite import SqliteJournals
from forwarder.records import LogEvent
from simulator.programs.postgres import PostgresServer
from tests.bench.goals import Goal, figure
from tests.bench.standin import GROUP, canned_page
from tests.cluster import campaign

EVENTS: Final = 100_000
BATCH: Final = 1_000
ROUNDS: Final = 3
"""Rounds of both journals in turn, so that a busy machine slows down both."""

DELIVERIES: Final = 500
PAUSE_S: Final = 0.02
TTL_MS: Final = 60_000

SHARE: Final = Goal(0.4, "of SQLite", is_least=True)
P50: Final = Goal(8, "ms")
P99: Final = Goal(20, "ms")
BOOTSTRAP: Final = Goal(100_000, "events/s", is_least=True)
TAKEOVER: Final = Goal(campaign.GOAL_S, "s")

SINGLY: Final = f"{GROUP}/singly"
"""A log group whose events come one by one."""

KILLS: Final = 5
TAKEOVER_VIEWERS: Final = 4


def measure() -> Iterator[str]:
    """Yield the lines of the report."""
    server = PostgresServer()  # durable, unlike the tests'
    server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield from _measure(server, Path(folder))
    finally:
        server.remove()
    yield from _takeovers()


def _measure(server: PostgresServer, folder: Path) -> Iterator[str]:
    engine = PostgresEngine(server.url, "bench")
    view = View(folder / "owner", GROUP, boot="boot")
    journals = SqliteJournals(folder / "alone")
    owner = _take_over(engine, view)
    alone = journals.journal(GROUP)
    spent = {"alone": 0.0, "shared": 0.0}
    batches = _batches(decode_page(canned_page(BATCH)).events)
    for _ in range(ROUNDS):
        part = [next(batches) for _ in range(EVENTS // BATCH)]
        spent["alone"] += _seconds(alone, part)
        spent["shared"] += _seconds(owner, part)
    events = ROUNDS * EVENTS
    rates = {name: events / seconds for name, seconds in spent.items()}
    share = rates["shared"] / rates["alone"]
    note = f"{events:,} events, batches of {BATCH:,}"
    yield figure("append, SQLite alone", f"{rates['alone']:,.0f} events/s ({note})")
    yield figure(
        "append, PostgreSQL and a view",
        f"{rates['shared']:,.0f} events/s, {share:.2f} of it",
        SHARE.judged(share),
    )
    rate, of_cpu = _bootstrap(server, folder / "bootstrap", GROUP)
    yield figure(
        "bootstrap of a view",
        f"{rate:,.0f} events/s, {of_cpu:,.0f} for each second of CPU",
        BOOTSTRAP.judged(rate),
    )
    _write_singly(engine, folder / "singly", next(batches))
    rate, of_cpu = _bootstrap(server, folder / "bootstrap singly", SINGLY)
    yield figure(
        "the same, one event an entry",
        f"{rate:,.0f} events/s, {of_cpu:,.0f} for each second of CPU",
    )
    lags = _deliver(server, folder, owner, batches)
    cuts = quantiles(lags, n=100)
    yield figure(
        "delivery to another process",
        f"p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, max {max(lags):.1f} ms",
        P50.judged(cuts[49]),
        P99.judged(cuts[98]),
    )
    view.close()
    journals.close()
    engine.close()


def _bootstrap(server: PostgresServer, path: Path, group: str) -> tuple[float, float]:
    """Build a view as a server that starts does; return events/s, and for each second of CPU."""
    started, cpu_s = time.perf_counter(), time.process_time()
    thread = EngineThread(PostgresEngine(server.url, "bootstrap"))
    view = View(path, group, boot="boot")
    asyncio.run(catch_up(view, thread.engine.log(group), thread))
    spent_s, spent_cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
    events = view.journal.head_seq
    view.close()
    thread.close()
    return events / spent_s, events / spent_cpu_s


def _write_singly(engine: PostgresEngine, path: Path, events: Sequence[LogEvent]) -> None:
    """Append events one by one, as they come in a quiet log group."""
    view = View(path, SINGLY, boot="boot")
    owner = _take_over(engine, view)
    for event in events:
        owner.append([event], "live")
    view.close()


def _takeovers() -> Iterator[str]:
    """Kill owners of a small cluster, mostly within their work; see ``tests.cluster.campaign``."""
    nothing = campaign.Plan(pauses=0, engine_kills=0, promotions=0)
    found = asyncio.run(campaign.run(nothing._replace(kills=KILLS, viewers=TAKEOVER_VIEWERS)))
    worst = max(found.takeovers)
    yield figure(
        "takeover",
        f"from the owner's SIGKILL to the next mark p50 {median(found.takeovers):.1f} s, max"
        f" {worst:.1f} s ({KILLS} kills, lease {LEASE_MS / 1_000:.0f} s)",
        TAKEOVER.judged(worst),
    )
    if not found.is_clean:
        yield from found.lines()


def _take_over(engine: PostgresEngine, view: View) -> ReplicatedJournal:
    log = engine.log(view.journal.group)
    lease = log.acquire(TTL_MS)
    assert lease is not None
    return ReplicatedJournal.take_over(log, lease, view, timer=timer_ms, random=random)


def _batches(events: Sequence[LogEvent]) -> Iterator[list[LogEvent]]:
    """Yield batches for ever, each with ids and times after those of the one before."""
    for number in count():
        added = number * BATCH
        yield [
            LogEvent(
                str(int(one.id) + added),
                one.timestamp + added,
                one.ingestion_time,
                one.stream,
                one.message,
            )
            for one in events
        ]


def _seconds(journal: Journal, batches: Sequence[Sequence[LogEvent]]) -> float:
    started = time.perf_counter()
    for batch in batches:
        journal.append(batch, "live")
    return time.perf_counter() - started


def _deliver(
    server: PostgresServer,
    folder: Path,
    owner: ReplicatedJournal,
    batches: Iterator[list[LogEvent]],
) -> list[float]:
    """Append single events; return for each the ms until another process could read it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = server.url, folder / "follower", DELIVERIES, theirs
    follower = context.Process(target=_follow, args=arguments)
    follower.start()
    ours.recv()
    sent = {}
    for _ in range(DELIVERIES):
        event = next(batches)[0]
        sent[event.id] = time.monotonic()
        owner.append([event], "live")
        time.sleep(PAUSE_S)
    received: dict[str, float] = ours.recv()
    follower.join()
    return [(received[one] - at) * 1_000 for one, at in sent.items()]


def _follow(url: str, path: Path, deliveries: int, report: Connection) -> None:
    """Follow the log, and report when each event could be read (the clock is the machine's)."""
    engine = PostgresEngine(url, "follower")
    log = engine.log(GROUP)
    view = View(path, GROUP, boot="boot")
    view.catch_up(log)
    head = view.journal.head_seq
    report.send(None)
    received: dict[str, float] = {}
    while len(received) < deliveries:
        log.wait(view.position, TTL_MS)
        view.apply(log.look(view.position, BATCH).entries)
        now = time.monotonic()
        for row in view.journal.read_after(head, BATCH):
            received[row.id] = now
        head = view.journal.head_seq
    report.send(received)
    view.close()
    engine.close()
