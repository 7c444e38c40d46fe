"""Polls leave no gap, and every tier gets its share, for any scan results and clock changes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from common.ranges import RangeSet
from forwarder.cloudwatch.rate_limit import CallQueue
from forwarder.reconcile.schedule import (
    DEEP_EVERY_MS,
    DEEP_SHARE,
    JUMP_MS,
    NEAR_EVERY_MS,
    NEAR_SPAN_MS,
    RECENT_EVERY_MS,
    RECENT_SPAN_MS,
    REST_MAX_MS,
    WIDE_EVERY_MS,
    WIDE_SPAN_MS,
    DueScan,
    ScanSchedule,
    TierName,
    rest_after,
)
from tests.support.forwarder.log_events import NOW_MS

OVERLAP_MS = 5_000
SHARES: dict[TierName, int] = {"recent": 2, "near": 4, "wide": 10, "far": 20, "deep": DEEP_SHARE}
_WHAT = st.sampled_from(
    ["nothing", "finish", "finish", "fail", "want", "drain", "hint", "throttle"]
)
_JUMP = st.just(0) | st.just(0) | st.integers(JUMP_MS, 4_000_000)
_JUMPS = _JUMP | _JUMP.map(lambda by_ms: -by_ms)
_QUICK = st.tuples(st.integers(0, 3_000), _WHAT, _JUMPS)
_STEP = _QUICK | st.tuples(st.integers(0, 120_000), _WHAT, _JUMPS)
"""(elapsed time, scan result, change of the wall clock)"""


class _Run:
    """A schedule, its running scans, and the coverage of complete ones."""

    def __init__(self, absence_ms: int | None) -> None:
        self.timer = 0
        self.wall = NOW_MS
        covered_ms = None if absence_ms is None else NOW_MS - absence_ms
        self.schedule = ScanSchedule(0, NOW_MS, covered_ms)
        self.running: dict[TierName, tuple[DueScan, int, int]] = {}
        self.first = self.schedule.due(0, NOW_MS)[0].from_
        self.covered = RangeSet()
        self.astray: set[TierName] = set()
        self.worked: dict[TierName, int] = {}
        self.longest: dict[TierName, int] = {}

    def start(self) -> None:
        for due in self.schedule.due(self.timer, self.wall):
            assert due.tier not in self.running
            assert due.from_ <= self.wall
            assert due.through is None or due.from_ <= due.through <= self.wall
            self.schedule.start(due, self.timer, self.wall)
            self.running[due.tier] = due, self.timer, self.wall

    def end(self, *, whole: bool) -> None:
        for tier, (due, began_ms, wall_ms) in self.running.items():
            took_ms = self.timer - began_ms
            self.worked[tier] = self.worked.get(tier, 0) + took_ms
            self.longest[tier] = max(took_ms, self.longest.get(tier, 0))
            if not whole:
                self.schedule.fail(tier, self.timer)
                continue
            self.schedule.finish(tier, self.timer)
            if tier == "live" and tier not in self.astray:
                end = self.covered.end
                assert end is None or due.from_ <= end - OVERLAP_MS
                self.covered.add(due.from_, wall_ms)
        self.running.clear()
        self.astray.clear()

    def do(self, what: str, by_ms: int) -> None:
        if what in ("finish", "fail"):
            self.end(whole=what == "finish")
        elif what == "want":
            self.schedule.set_since(
                None if by_ms % 3 == 0 else self.wall - by_ms * 1000, self.timer
            )
        elif what == "drain":
            span = None if by_ms % 3 == 0 else (self.wall - by_ms, self.wall)
            self.schedule.set_drain_range(span)
        elif what == "hint":
            self.schedule.poll_now(self.timer)
        elif what == "throttle":
            self.schedule.record_throttling(self.timer)

    def step(self, wait_ms: int, what: str, jump_ms: int) -> None:
        self.timer += wait_ms
        self.wall += wait_ms + jump_ms
        if jump_ms < 0:
            # A poll that is under way asked for what was the present by the other clock.
            self.astray.update(self.running)
            # What was covered by the clock that was set back is of a time that is still to come.
            end = self.covered.end
            kept = RangeSet() if end is None else RangeSet([(self.first, end + jump_ms)])
            self.covered, self.first = kept, min(self.first, self.wall - RECENT_SPAN_MS)
            self.first = min(self.first, kept.ranges[0][0]) if kept.ranges else self.first
        self.start()
        self.do(what, wait_ms)


@settings(max_examples=300)
@given(st.lists(_STEP, max_size=60), st.none() | st.integers(0, 4_000_000))
def test_complete_polls_cover_everything_up_to_the_last(
    steps: list[tuple[int, str, int]], absence_ms: int | None
) -> None:
    run = _Run(absence_ms)
    for wait_ms, what, jump_ms in steps:
        run.step(wait_ms, what, jump_ms)
        ranges = run.covered.ranges
        assert len(ranges) <= 1
    run.end(whole=False)
    later = max(run.timer, run.schedule.next_ms) + 40_000
    assert any(due.tier == "live" for due in run.schedule.due(later, run.wall + later - run.timer))


@settings(max_examples=300)
@given(st.lists(_QUICK, max_size=60), st.integers(1, 20_000), st.integers(0, 10_000_000))
def test_no_tier_starves(steps: list[tuple[int, str, int]], took_ms: int, wanted_ms: int) -> None:
    """Once undisturbed, each tier's range is scanned repeatedly within a bound."""
    run = _Run(None)
    for step in steps:
        run.step(*step)
    run.end(whole=False)
    run.schedule.set_since(run.wall - wanted_ms, run.timer)
    run.schedule.set_covered_from(run.wall - 2 * WIDE_SPAN_MS)
    begun, started = run.timer, run.wall
    seen = {"recent": 0, "near": 0, "wide": 0, "deep": 0}
    spans = {"recent": RECENT_SPAN_MS, "near": NEAR_SPAN_MS, "wide": WIDE_SPAN_MS}
    # Delays from throttling and shares end within the first hour.
    for at_ms in range(0, 8 * WIDE_EVERY_MS, 30_000):
        run.timer, run.wall = begun + at_ms, started + at_ms
        for due in run.schedule.due(run.timer, run.wall):
            run.schedule.start(due, run.timer, run.wall)
            run.schedule.finish(due.tier, run.timer + took_ms)
            for tier in seen:
                low = run.wall - spans[tier] if tier != "deep" else started - wanted_ms
                seen[tier] += due.through is not None and due.from_ <= max(0, low)
    assert seen["recent"] >= 2
    assert seen["near"] >= 2
    assert seen["wide"] >= 1
    assert seen["deep"] >= 2


@settings(max_examples=300)
@given(st.lists(_STEP, min_size=20, max_size=120))
def test_no_tier_takes_more_than_its_share(steps: list[tuple[int, str, int]]) -> None:
    run = _Run(None)
    run.schedule.set_since(NOW_MS - WIDE_SPAN_MS * 10, 0)
    jumps = 0
    for wait_ms, what, jump_ms in steps:
        run.step(wait_ms, what, jump_ms)
        # A clock change starts a new scan of everything.
        jumps += jump_ms != 0 or what == "want"
    run.end(whole=True)
    for tier, share in SHARES.items():
        bound = run.timer / share + (jumps + 1) * run.longest.get(tier, 0)
        assert run.worked.get(tier, 0) <= bound, tier


@given(
    st.integers(1, 40),
    st.integers(1, 500),
    st.floats(0.5, 25),
    st.integers(1, 600_000),
    st.sampled_from(list(SHARES.items())),
)
def test_all_feeds_together_keep_to_a_tiers_share(
    feeds: int, calls: int, rate: float, took_ms: int, tier: tuple[TierName, int]
) -> None:
    """Of the time each, as before; or else all of them of the account's calls."""
    share = tier[1]
    queue = CallQueue(rate)
    for number in range(feeds):
        queue.set_weight(number, 1.0)
    rest_ms = rest_after(share, took_ms, queue.part_ms(calls))
    assert rest_ms <= share * took_ms
    if rest_ms < share * took_ms:
        assert rest_ms >= REST_MAX_MS
        assert feeds * calls / rest_ms * 1000 <= rate / share * 1.01


@given(st.lists(st.integers(-5_000_000, 5_000_000), max_size=30))
def test_clock_jumps_do_not_stop_scans(jumps: list[int]) -> None:
    schedule = ScanSchedule(0, NOW_MS)
    timer, wall = 0, NOW_MS
    for jump in jumps:
        wall = max(RECENT_SPAN_MS, wall + jump)
        timer, wall = timer + 10_000, wall + 10_000
        due = {one.tier: one for one in schedule.due(timer, wall)}
        assert "recent" in due or due["live"].from_ <= max(0, wall - RECENT_SPAN_MS)
        if jump < 0:
            assert due["live"].from_ <= wall - OVERLAP_MS
        for one in due.values():
            schedule.start(one, timer, wall)
            schedule.finish(one.tier, timer)
        assert schedule.next_ms <= timer + max(RECENT_EVERY_MS, NEAR_EVERY_MS, DEEP_EVERY_MS)
