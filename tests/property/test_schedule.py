"""However scans end and whatever the clock does, the polls leave no hole behind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forwarder.coverage import Coverage
from forwarder.reconciler import RECENT_SPAN_MS, Due, Schedule, TierName
from tests.support.log_events import NOW_MS

OVERLAP_MS = 5_000
_STEP = st.tuples(
    st.integers(0, 3_000) | st.integers(0, 120_000),
    st.sampled_from(["nothing", "finish", "finish", "fail", "want", "drain", "hint"]),
)


class _Run:
    """A schedule, the scans that are running by it, and what whole polls have covered."""

    def __init__(self, covered_ms: int | None) -> None:
        self.schedule = Schedule(NOW_MS, covered_ms)
        self.running: dict[TierName, tuple[Due, int]] = {}
        self.first = self.schedule.due(NOW_MS)[0].from_
        self.covered = Coverage()

    def start(self, now_ms: int) -> None:
        for due in self.schedule.due(now_ms):
            assert due.tier not in self.running
            assert due.from_ <= now_ms
            assert due.through is None or due.from_ <= due.through <= now_ms
            self.schedule.started(due.tier, now_ms)
            self.running[due.tier] = due, now_ms

    def finish(self, now_ms: int) -> None:
        for tier, (due, begun_ms) in self.running.items():
            self.schedule.finished(tier, now_ms)
            if tier == "live":
                end = self.covered.end
                assert end is None or due.from_ <= end - OVERLAP_MS
                self.covered.add(due.from_, begun_ms)
        self.running.clear()

    def fail(self, now_ms: int) -> None:
        for tier in self.running:
            self.schedule.failed(tier, now_ms)
        self.running.clear()

    def do(self, what: str, wait_ms: int, now_ms: int) -> None:
        if what == "finish":
            self.finish(now_ms)
        elif what == "fail":
            self.fail(now_ms)
        elif what == "want":
            self.schedule.want(None if wait_ms % 3 == 0 else NOW_MS - wait_ms, now_ms)
        elif what == "drain":
            self.schedule.want_drain(None if wait_ms % 3 == 0 else (now_ms - wait_ms, now_ms))
        elif what == "hint":
            self.schedule.hint(now_ms)


@given(st.lists(_STEP, max_size=60), st.none() | st.integers(0, 4_000_000))
def test_whole_polls_cover_everything_up_to_the_last(
    steps: list[tuple[int, str]], absence_ms: int | None
) -> None:
    run = _Run(None if absence_ms is None else NOW_MS - absence_ms)
    now_ms = NOW_MS
    for wait_ms, what in steps:
        now_ms += wait_ms
        run.start(now_ms)
        run.do(what, wait_ms, now_ms)
        ranges = run.covered.ranges
        assert not ranges or (len(ranges) == 1 and ranges[0][0] == run.first)
    run.fail(now_ms)
    later = max(now_ms, run.schedule.next_ms) + 20_000
    assert any(due.tier == "live" for due in run.schedule.due(later))


@given(st.lists(st.integers(-5_000_000, 5_000_000), max_size=30))
def test_a_clock_that_jumps_stops_nothing(jumps: list[int]) -> None:
    schedule = Schedule(NOW_MS)
    now_ms = NOW_MS
    for jump in jumps:
        before, now_ms = now_ms, max(RECENT_SPAN_MS, now_ms + jump)
        schedule.due(now_ms)
        due = {one.tier: one for one in schedule.due(now_ms + 10_000)}
        now_ms += 10_000
        assert {"live", "recent"} <= due.keys()
        if now_ms < before:
            assert due["live"].from_ <= now_ms - OVERLAP_MS
        for tier in due:
            schedule.started(tier, now_ms)
            schedule.finished(tier, now_ms)
