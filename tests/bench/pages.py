"""Throughput of each step from a CloudWatch page to the journal, and of its upper bounds."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import botocore.session
import msgspec
from botocore.parsers import JSONParser

from forwarder.cloudwatch.reader import decode_page
from forwarder.ingest.log_group import LogGroup
from forwarder.journal.sqlite import SqliteJournals
from forwarder.records import LogEvent
from tests.bench.standin import GROUP, canned_page

PAGE_EVENTS = 10_000
PAGES = 20
BATCH = 1_000


class Rate(msgspec.Struct):
    """Throughput of one step; ``is_limit`` marks an upper bound."""

    what: str
    per_s: float
    note: str = ""


def measure() -> list[Rate]:
    """Measure every step, in the order in which an event passes them."""
    body = canned_page(PAGE_EVENTS)
    events = decode_page(body).events
    return [
        _rate("parse a page: botocore's own parser", lambda: _botocore(body), "peer"),
        _rate("parse a page: json.loads alone", lambda: json.loads(body), "limit of the peer"),
        _rate("parse a page: forwarder/cloudwatch/reader.py", lambda: decode_page(body), "gapless"),
        *_journal(events),
    ]


def _rate(what: str, step: Callable[[], object], note: str) -> Rate:
    step()
    started = time.perf_counter()
    rounds = 0
    while (passed := time.perf_counter() - started) < 1:
        step()
        rounds += 1
    return Rate(what, rounds * PAGE_EVENTS / passed, note)


def _botocore(body: bytes) -> object:
    model = botocore.session.get_session().get_service_model("logs")
    shape = model.operation_model("FilterLogEvents").output_shape
    assert shape is not None
    return JSONParser().parse({"status_code": 200, "headers": {}, "body": body}, shape)


def _batches(events: Sequence[LogEvent]) -> Iterator[list[LogEvent]]:
    for page in range(PAGES):
        for start in range(0, len(events), BATCH):
            yield [
                LogEvent(
                    str(int(one.id) + page * PAGE_EVENTS),
                    one.timestamp + page * PAGE_EVENTS,
                    one.ingestion_time,
                    one.stream,
                    one.message,
                )
                for one in events[start : start + BATCH]
            ]


def _journal(events: Sequence[LogEvent]) -> list[Rate]:
    with tempfile.TemporaryDirectory() as folder:
        limit = _bare_sqlite(Path(folder) / "bare.sqlite3", list(_batches(events)))
        journals = SqliteJournals(Path(folder) / "journal.sqlite3")
        try:
            group = LogGroup(journals.journal(GROUP))
            batches = list(_batches(events))
            count = sum(map(len, batches))
            new = _seconds(lambda: [group.ingest(batch, "live") for batch in batches])
            known = _seconds(lambda: [group.ingest(batch, "live") for batch in batches])
            read = _seconds(lambda: _read_all(group))
            note = f"gapless, {count:,} events, batches of {BATCH:,}"
            return [
                Rate("insert into a bare SQLite table with a unique id", count / limit, "limit"),
                Rate("through the door into the journal, new events", count / new, note),
                Rate("through the door, known events (what a scan mostly brings)", count / known),
                Rate("read back from the journal in order of seq", count / read),
            ]
        finally:
            journals.close()


def _read_all(group: LogGroup) -> None:
    after = 0
    while rows := group.journal.read_after(after, BATCH):
        after = rows[-1].seq


def _bare_sqlite(path: Path, batches: Sequence[Sequence[LogEvent]]) -> float:
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute(
        "CREATE TABLE events (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, ts INT, message TEXT)"
    )

    def insert() -> None:
        for batch in batches:
            rows = [(one.id, one.timestamp, one.message) for one in batch]
            db.executemany("INSERT INTO events (id, ts, message) VALUES (?, ?, ?)", rows)
            db.commit()

    seconds = _seconds(insert)
    db.close()
    return seconds


def _seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started
