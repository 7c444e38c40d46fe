"""A log group over hours: its memory besides the journal is bounded."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator

from forwarder.delivery.marks import MarkedTime
from forwarder.ingest.executions import Executions, Lifecycle
from forwarder.ingest.log_group import LogGroup
from forwarder.records import LiveSource, LogEvent, ScanDone
from tests.support.forwarder.log_events import GROUP, NOW_MS
from tests.support.forwarder.memory_journal import MemoryJournal

SOURCE = LiveSource("1", ("all",))
MINUTE = 60_000


def containers(one: object, path: str, seen: set[int]) -> Iterator[tuple[str, int]]:
    """Every container reachable from an object of ours, with its path."""
    if id(one) in seen:
        return
    seen.add(id(one))
    if isinstance(one, dict | list | set | deque | array | bytearray):
        yield path, len(one)
        inner = list(one.values()) if isinstance(one, dict) else list(one)
        parts = [(f"{path}[]", part) for part in inner if not isinstance(part, int | str | bytes)]
    elif isinstance(one, MemoryJournal | Executions):  # these hold the history
        return
    elif type(one).__module__.startswith("forwarder"):
        names = [*getattr(one, "__dict__", {}), *getattr(type(one), "__slots__", ())]
        parts = [(f"{path}.{name}", getattr(one, name)) for name in names]
    else:
        return
    for name, part in parts:
        yield from containers(part, name, seen)


def sizes(*roots: object) -> dict[str, int]:
    """Total length of containers by path."""
    found: dict[str, int] = {}
    for root in roots:
        for path, size in containers(root, type(root).__name__, set()):
            found[path] = found.get(path, 0) + size
    return found


class Days:
    """A log group with a subscription that misses some events, and one execution a minute."""

    def __init__(self) -> None:
        self.group = LogGroup(
            MemoryJournal(GROUP), allowance_max_ms=60_000, lifecycle=Lifecycle.pattern("the end")
        )
        self.proved = MarkedTime()
        self.minute = 0
        self.written: list[LogEvent] = []

    def pass_minutes(self, count: int) -> None:
        """Simulate minutes, each with scans, gaps and a deleted stream."""
        for _ in range(count):
            self.minute += 1
            self._minute(NOW_MS + self.minute * MINUTE)

    def _minute(self, now_ms: int) -> None:
        group, stream = self.group, f"job/{self.minute}"
        lines = [
            LogEvent(str(self.minute * 10 + one), now_ms + one, now_ms + one + 50, stream, text)
            for one, text in enumerate(("one", "two", "missed by the subscription", "the end"))
        ]
        self.written = [*self.written[-80:], *lines]
        delivered = [
            LogEvent(one.id, one.timestamp, None, one.stream, one.message) for one in lines
        ]
        agreement = group.agreement
        if agreement.admits(SOURCE):
            taken = group.ingest(delivered[:2], "live")
            first = taken.head_seq - taken.new + 1
            agreement.add_rows(SOURCE, delivered[:2], first, now_ms, now_ms + 100)
        else:
            agreement.add_hints(SOURCE, delivered[:2], now_ms)
        group.punctuality.note_read(0, now_ms)
        self._scan("live", now_ms + 2_000 - MINUTE, now_ms + 2_000)
        if self.minute % 3 == 0:
            gap = group.declare_gap(now_ms - MINUTE, now_ms, "suspected", "silence")
            group.widen_gap(gap.id, now_ms - MINUTE, now_ms + 500)
        broken = group.begin_scan("repair", now_ms - MINUTE, now_ms, now_ms + 3_000)
        broken.take_page([])
        group.abandon_scan(broken)
        if self.minute % 5 == 0:
            self._delete_a_stream(now_ms)
        for at in (5_000, 10_000):
            self._scan("repair", now_ms - 15 * MINUTE, now_ms + at)
        group.punctuality.count_missed(now_ms + 20_000)
        for notice in group.take_notices():
            if isinstance(notice, ScanDone):
                self.proved.add(notice)
        group.take_suspect_streams()

    def _delete_a_stream(self, now_ms: int) -> None:
        stream = f"job/{self.minute - 2}"
        self.written = [one for one in self.written if one.stream != stream]
        self._scan("repair", now_ms - 15 * MINUTE, now_ms + 4_000)
        assert stream in self.group.take_suspect_streams()
        self.group.mark_stream_deleted(stream)

    def _scan(self, kind: str, from_: int, now_ms: int) -> None:
        scan = self.group.begin_scan("live" if kind == "live" else "repair", from_, now_ms, now_ms)
        scan.take_page([one for one in self.written if from_ <= one.timestamp <= now_ms])
        self.group.finish_scan(scan, now_ms)


def test_only_the_journal_grows() -> None:
    days = Days()
    days.pass_minutes(120)
    before = sizes(days.group, days.proved)
    days.pass_minutes(240)
    after = sizes(days.group, days.proved)
    assert days.group.agreement.returned_count > 600
    assert len(days.group.journal.streams()) == 360
    grown = {path for path, size in after.items() if size > 1.5 * before.get(path, 0) + 20}
    allowed = {
        "LogGroup._deleted",  # while the chain lasts, like the rows of those log streams
        "LogGroup.totals._tail._names",
        "LogGroup.totals._tail._numbers",
        "LogGroup.totals._tail._timestamps",  # 65,536 rows
        "LogGroup.totals._tail._streams",
        "LogGroup.totals._tail._digests",
        "LogGroup.totals._answers",  # 1,024
        "LogGroup.totals._filters",  # 64 filters
        "LogGroup.totals._filters[]._blocks",  # three sizes of each
        "LogGroup.totals._filters[]._blocks[]",  # 2,048
        "LogGroup.agreement._seqs",  # 250,000 rows
        "LogGroup.agreement._arrivals",
    }
    assert grown <= allowed
