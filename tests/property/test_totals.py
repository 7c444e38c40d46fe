"""Cached totals equal the journal's after any queries and appends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from forwarder.journal import totals
from forwarder.journal.totals import Totals
from forwarder.records import LogEvent
from tests.support.forwarder.memory_journal import MemoryJournal
from wire.query import Filter

TIMES = st.integers(0, 300)
FILTERS = st.sampled_from([Filter(), Filter(streams=("a",)), Filter(prefixes=("b",))])


@pytest.fixture(autouse=True, scope="module")
def _everything_small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(totals, "SIZES_MS", (4, 16, 64))
        patch.setattr(totals, "BLOCKS_MAX", 3)
        patch.setattr(totals, "FILTERS_MAX", 2)
        patch.setattr(totals, "ANSWERS_MAX", 3)
        patch.setattr(totals, "TAIL_MAX", 6)
        patch.setattr(totals, "_LARGE_BLOCKS_MAX", 4)
        patch.setattr(totals, "_READ", 2)
        yield


class SumsOfAJournal(RuleBasedStateMachine):
    """Requests the same totals from the cache and the journal."""

    def __init__(self) -> None:
        super().__init__()
        self.journal = MemoryJournal("group")
        self.totals = Totals(self.journal)
        self.next_id = 1

    @rule(places=st.lists(st.tuples(TIMES, st.sampled_from("abc")), max_size=9))
    def append(self, places: list[tuple[int, str]]) -> None:
        events = [
            LogEvent(str(self.next_id + index), timestamp, None, stream, "line")
            for index, (timestamp, stream) in enumerate(places)
        ]
        self.next_id += len(events)
        self.journal.append(events, "live")

    @rule(seqs=st.lists(st.integers(1, 40), max_size=5))
    def lose(self, seqs: list[int]) -> None:
        self.journal.retire(before=1_000)
        self.journal.mark_lost([str(seq) for seq in seqs], "deleted")

    @rule(seq=st.integers(1, 40))
    def find_again(self, seq: int) -> None:
        self.journal.restore({str(seq): "line"})

    @rule()
    def begin_chain(self) -> None:
        self.journal.begin_chain()
        self.next_id = 1

    @rule(
        from_=TIMES,
        through=TIMES | st.just((1 << 53) - 1),
        wanted=FILTERS,
        base=st.integers(0, 9),
        behind=st.none() | st.integers(-3, 9),
        times=st.integers(1, 2),
    )
    def ask(
        self, from_: int, through: int, wanted: Filter, base: int, behind: int | None, times: int
    ) -> None:
        seq = None if behind is None else max(0, self.journal.head_seq - behind)
        for start in (0, base):
            expected = self.journal.total(from_, through, wanted, base=start, seq=seq)
            for _ in range(times):
                found = self.totals.total(from_, through, wanted, base=start, seq=seq)
                assert found == expected


SumsOfAJournal.TestCase.settings = settings(max_examples=150, stateful_step_count=30)
TestTotals = SumsOfAJournal.TestCase
