"""The SQLite journal behaves like the in-memory journal under any operations."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from forwarder.journal import database, range_sums, sqlite, tables
from forwarder.journal.sqlite import SqliteJournals
from forwarder.records import GapRecord, LogEvent
from tests.support.forwarder.log_events import GROUP, epochs
from tests.support.forwarder.memory_journal import MemoryJournal
from wire.messages import ExecutionStatus, GapState, Origin
from wire.order import Interval, key_of
from wire.query import Filter

IDS = st.integers(0, 15).map(str) | st.integers(10**56, 10**56 + 3).map(str)
STREAMS = st.sampled_from(["job/1", "job/2", "other", "half \udcff"])
TIMES = st.integers(0, 60)
EVENTS = st.builds(
    LogEvent, IDS, TIMES, st.none() | TIMES, STREAMS, st.text(max_size=5) | st.just("\ud800")
)
ORIGINS: st.SearchStrategy[Origin] = st.sampled_from(["live", "backfill", "repair"])
STATES: st.SearchStrategy[GapState] = st.sampled_from(
    ["suspected", "repairing", "repaired", "unrecoverable"]
)
STATUSES: st.SearchStrategy[ExecutionStatus | None] = st.sampled_from(["FAILED", "UNKNOWN", None])
JOBS = Filter(prefixes=("job",), streams=("half \udcff",))
FILTERS = st.sampled_from(
    [
        Filter(),
        Filter(streams=("other",)),
        Filter(executions=("1",)),
        JOBS,
        Filter(streams=("unheard of",)),
    ]
)


@pytest.fixture(autouse=True, scope="module")
def _everything_small() -> Iterator[None]:
    """Make limits so small that a few rows take every path that millions would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_SYNCHRONOUS", "OFF")
        patch.setattr(sqlite, "GENERATION_MAX", 4)
        patch.setattr(sqlite, "_OUTLIERS", 1)
        patch.setattr(tables, "_IDS_PER_QUERY", 3)
        patch.setattr(range_sums, "BLOCK_BITS", 3)
        patch.setattr(range_sums, "_SHORT_MS", 20)
        patch.setattr(range_sums, "_TAIL_MAX", 4)
        patch.setattr(sqlite, "_DELETED_AT_ONCE", 3)
        yield


class Journals(RuleBasedStateMachine):
    """Applies the same operations to the model and to the file."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name, "journal.sqlite3")
        made, made_too = epochs(), epochs()
        self.make = lambda: next(made)
        self.made_too = made_too
        self.model = MemoryJournal(GROUP, lambda: next(made_too))
        self.file = SqliteJournals(self.path, self.make)
        self.journal = self.file.journal(GROUP)

    def teardown(self) -> None:
        self.file.close()
        self.directory.cleanup()

    @initialize()
    def beside_another_group(self) -> None:
        """Add another log group to the file: a query without its chain would return its rows."""
        other = [LogEvent(str(one), one, None, "job/1", "another group's") for one in range(9)]
        self.file.journal("another").append(other, "live")
        next(self.made_too)

    @rule(events=st.lists(EVENTS, max_size=12, unique_by=lambda one: one.id), origin=ORIGINS)
    def append(self, events: list[LogEvent], origin: Origin) -> None:
        known = self.model.find([event.id for event in events])
        new = [event for event in events if event.id not in known]
        assert self.journal.append(new, origin) == self.model.append(new, origin)

    @rule()
    def reopen(self) -> None:
        self.file.close()
        self.file = SqliteJournals(self.path, self.make)
        self.journal = self.file.journal(GROUP)
        self.model.begin_epoch()

    @rule()
    def begin_epoch(self) -> None:
        assert self.journal.begin_epoch() == self.model.begin_epoch()

    @rule()
    def begin_chain(self) -> None:
        assert self.journal.begin_chain() == self.model.begin_chain()

    @rule(from_=TIMES, through=TIMES)
    def cover(self, from_: int, through: int) -> None:
        self.journal.cover(from_, through)
        self.model.cover(from_, through)

    @rule(gap_id=st.sampled_from("abc"), from_=TIMES, state=STATES)
    def put_gap(self, gap_id: str, from_: int, state: GapState) -> None:
        gap = GapRecord(gap_id, from_, from_ + 5, state, "why", 1)
        self.journal.put_gap(gap)
        self.model.put_gap(gap)

    @rule(before=TIMES)
    def retire_old(self, before: int) -> None:
        assert self.journal.retire(before=before) == self.model.retire(before=before)

    @rule(share=st.floats(0, 1), before=st.none() | TIMES)
    def retire_large(self, share: float, before: int | None) -> None:
        size = int(self.model.size_bytes() * share)
        expected = self.model.retire(before=before, bytes_max=size)
        assert self.journal.retire(before=before, bytes_max=size) == expected

    @rule(bodies=st.dictionaries(IDS, st.text(max_size=5), min_size=3))
    def restore(self, bodies: dict[str, str]) -> None:
        assert self.journal.restore(bodies) == self.model.restore(bodies)

    @rule(ids=st.lists(IDS, min_size=3), before=TIMES, reason=st.sampled_from(["one", "two"]))
    def lose(self, ids: list[str], before: int, reason: str) -> None:
        assert self.journal.retire(before=before) == self.model.retire(before=before)
        assert self.journal.mark_lost(ids, reason) == self.model.mark_lost(ids, reason)

    @rule(execution=st.sampled_from("12"), status=STATUSES)
    def put_ended(self, execution: str, status: ExecutionStatus | None) -> None:
        self.journal.put_ended(execution, status, "rule")
        self.model.put_ended(execution, status, "rule")

    @rule(
        from_=TIMES,
        through=TIMES,
        wanted=FILTERS,
        base=st.integers(0, 15),
        behind=st.integers(0, 8),
    )
    def totals_agree(
        self, from_: int, through: int, wanted: Filter, base: int, behind: int
    ) -> None:
        for low, high in ((from_, through), (0, 99)):
            for start in (0, base):
                for seq in (None, self.model.head_seq - behind, 99):
                    expected = self.model.total(low, high, wanted, base=start, seq=seq)
                    found = self.journal.total(low, high, wanted, base=start, seq=seq)
                    assert found == expected
        lost = self.model.lost(from_, through, wanted)
        assert self.journal.lost(from_, through, wanted) == lost
        bodiless = self.model.bodiless(from_, through, 5)
        assert self.journal.bodiless(from_, through, 5) == bodiless

    @rule(low=EVENTS, high=EVENTS, limit=st.integers(1, 9), newest=st.booleans(), until=IDS)
    def reads_agree(
        self, low: LogEvent, high: LogEvent, limit: int, until: str, *, newest: bool
    ) -> None:
        interval = Interval(key_of(low.timestamp, low.id), key_of(high.timestamp, high.id))
        for of in (interval, Interval(interval.low), Interval(None, interval.high), Interval()):
            found = self.journal.read_between(of, limit, newest_first=newest, until_seq=int(until))
            assert found == self.model.read_between(
                of, limit, newest_first=newest, until_seq=int(until)
            )
        after = int(until) % 30
        assert self.journal.read_after(after, limit) == self.model.read_after(after, limit)

    @rule(ids=st.lists(IDS, max_size=20))
    def what_is_known_agrees(self, ids: list[str]) -> None:
        assert self.journal.find(ids) == self.model.find(ids)

    @invariant()
    def all_else_agrees(self) -> None:
        journal, model = self.journal, self.model
        assert journal.head_seq == model.head_seq
        assert journal.chain == model.chain
        assert list(journal.coverage()) == list(model.coverage())
        assert journal.gaps() == model.gaps()
        assert journal.streams() == model.streams()
        assert journal.ended_executions("rule") == model.ended_executions("rule")
        assert journal.size_bytes() == model.size_bytes()
        assert journal.total(0, 99, JOBS) == model.total(0, 99, JOBS)
        for link in model.chain:
            after = model.head_seq // 2
            resumable = model.is_resumable(link.epoch, after)
            assert journal.is_resumable(link.epoch, after) == resumable


Journals.TestCase.settings = settings(max_examples=100, stateful_step_count=50)
TestJournals = Journals.TestCase
