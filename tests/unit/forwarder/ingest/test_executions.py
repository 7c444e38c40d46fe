from __future__ import annotations

import asyncio

import pytest

from common.ranges import Range
from forwarder.errors import LifecycleError
from forwarder.ingest.executions import (
    DRAIN_MS,
    DRAIN_WIDTH_MS,
    FORGOTTEN_MS,
    FRESH_MS,
    GAP_SCANS_MAX,
    GAP_WIDTH_MS,
    TRIES_MAX,
    Executions,
    Lifecycle,
    _State,
    execution_of,
    find_ends,
)
from forwarder.records import ExecutionEnd
from tests.support.forwarder.log_events import NOW_MS, event
from wire.limits import END_GAP_MS

RULE = r"state=(?:(?P<SUCCEEDED>done)|(?P<FAILED>failed)|(?P<STOPPED>stopped)|gone)"
ALLOWANCE_MS = 2_000


def _scanned(
    executions: Executions, number: int, begun_ms: int, from_: int = 0, through: int | None = None
) -> list[ExecutionEnd]:
    return executions.finish_scan(
        from_,
        through,
        number=number,
        begun_ms=begun_ms,
        allowance_ms=ALLOWANCE_MS,
        head_seq=7,
    )


@pytest.fixture
def executions() -> Executions:
    return Executions(Lifecycle.pattern(RULE))


@pytest.fixture
def over(executions: Executions) -> Executions:
    """Executions of which one, ``job/1``, was over after one scan had begun."""
    executions.add_events([event(1), event(2, NOW_MS + 50, message="state=done")], 1)
    return executions


def test_the_execution_is_the_last_part_of_the_streams_name() -> None:
    assert execution_of("app/worker/7f3a") == "7f3a"
    assert execution_of("7f3a") == "7f3a"
    assert execution_of("odd/") == "odd/"


def test_a_pattern_names_the_status() -> None:
    lifecycle = Lifecycle.pattern(RULE)
    found = [lifecycle.status_of(f"state={word}") for word in ("done", "failed", "stopped", "gone")]
    assert found == ["SUCCEEDED", "FAILED", "STOPPED", "UNKNOWN"]
    assert lifecycle.status_of("state=running") is None


ENDLESS = ("error " * (1 << 20))[: 1 << 20]


@pytest.mark.parametrize("rule", ["error.*timeout", r"(\w+) failed", "(a+)+b"])
def test_a_pattern_that_backtracking_would_never_finish(rule: str) -> None:
    executions = Executions(Lifecycle.pattern(rule))
    executions.add_events([event(1, message=ENDLESS), event(2, message="a" * 40)], 1)
    assert executions.undecided() == ["1"]


async def test_the_event_loop_goes_on_while_messages_are_matched() -> None:
    lifecycle = Lifecycle.pattern("error.*(?P<FAILED>timeout)")
    events = [event(number, message=ENDLESS) for number in range(1, 60)]
    events.append(event(60, message="error: timeout"))
    heartbeats = 0
    for _ in range(20):  # on a busy machine it may be the loop that gets no processor
        matching = asyncio.create_task(find_ends(lifecycle, events))
        heartbeats = 0
        while not matching.done():
            await asyncio.sleep(0)
            heartbeats += 1
        assert await matching == {events[-1].id: "FAILED"}
        if heartbeats > 100:
            break
    assert heartbeats > 100


@pytest.mark.parametrize("lifecycle", [None, Lifecycle.idle(30_000)])
async def test_without_a_pattern_no_message_is_matched(lifecycle: Lifecycle | None) -> None:
    assert await find_ends(lifecycle, [event(1, message="done")]) == {}


def test_ends_that_were_found_before_are_not_looked_for_again() -> None:
    executions = Executions(Lifecycle.pattern("done"))
    executions.add_events([event(1, message="done"), event(2, stream="job/2")], 1, {"2": "FAILED"})
    assert executions.undecided() == ["1"]


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("(?=done)", "look-around is not supported"),
        (r"(a)\1", "back references are not supported"),
        ("(.{0,500}x){30}", "it repeats something over 1,000 times"),
        ("(", "is not a regular expression"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused(rule: str, why: str) -> None:
    with pytest.raises(LifecycleError, match=f"^--lifecycle pattern: .*{why}"):
        Lifecycle.pattern(rule)


def test_an_invalid_pattern_is_refused() -> None:
    with pytest.raises(LifecycleError, match="not a regular expression"):
        Lifecycle.pattern("(")


def test_different_rules_have_different_names() -> None:
    rules = {Lifecycle.pattern("a").rule, Lifecycle.pattern("b").rule, Lifecycle.idle(5).rule}
    assert len(rules | {Lifecycle.idle(6).rule, Lifecycle.external("ecs:c").rule}) == 5


def test_an_execution_ends_when_two_scans_that_began_afterwards_agree(over: Executions) -> None:
    assert _scanned(over, 1, NOW_MS + 90) == []
    assert _scanned(over, 2, NOW_MS + 100) == []
    assert over.end_of("1") is None
    assert _scanned(over, 3, NOW_MS + 2_099) == []
    end = ExecutionEnd("1", "SUCCEEDED", NOW_MS, NOW_MS + 50, 7)
    assert _scanned(over, 4, NOW_MS + 2_100) == [end]
    assert over.end_of("1") == over.end_of("job/1") == end
    assert _scanned(over, 5, NOW_MS + 5_000) == []


def test_an_execution_that_is_not_over_never_ends(executions: Executions) -> None:
    executions.add_events([event(1)], 1)
    assert [_scanned(executions, number, NOW_MS * number) for number in (2, 3, 4)] == [[], [], []]
    assert executions.drain_range(NOW_MS) is None


def test_a_new_event_between_the_two_scans_requires_a_third(over: Executions) -> None:
    assert _scanned(over, 2, NOW_MS + 100) == []
    over.add_events([event(3, NOW_MS + 60)], 3)
    assert _scanned(over, 3, NOW_MS + 3_000) == []
    assert _scanned(over, 4, NOW_MS + 6_000) == []
    [end] = _scanned(over, 5, NOW_MS + 9_000)
    assert (end.through, over.summaries(NOW_MS)[0].count) == (NOW_MS + 60, 3)


def test_a_scan_of_another_range_proves_nothing(over: Executions) -> None:
    for number, (from_, through) in enumerate(
        [(NOW_MS + 1, None), (0, NOW_MS + 49), (NOW_MS + 1, None), (0, NOW_MS + 49)], 2
    ):
        assert _scanned(over, number, NOW_MS + 5_000 * number, from_, through) == []
    assert _scanned(over, 6, NOW_MS + 90_000, NOW_MS, NOW_MS + 50) == []
    assert len(_scanned(over, 7, NOW_MS + 99_000, NOW_MS, None)) == 1


def test_of_a_long_execution_the_last_minute_is_scanned(executions: Executions) -> None:
    last = NOW_MS + 10 * DRAIN_MS
    executions.add_events([event(1), event(2, last, message="state=failed")], 0)
    assert executions.drain_range(last) == (last - DRAIN_MS, last)
    assert executions.drain_range(last + 9) == (last - DRAIN_MS, last + 9)
    _scanned(executions, 1, last + 10, last - DRAIN_MS)
    [end] = _scanned(executions, 2, last + 3_000, last - DRAIN_MS)
    assert (end.status, end.from_, end.through) == ("FAILED", NOW_MS, last)


def test_a_late_event_makes_an_execution_end_again(over: Executions) -> None:
    for number in (2, 3):
        _scanned(over, number, NOW_MS + 5_000 * number)
    late = [event(3, NOW_MS + 20)]
    assert over.ended_among(late) == ["1"]
    over.add_events(late, 4)
    assert over.end_of("1") is None
    assert over.ended_among([event(4, NOW_MS + 20)]) == []
    over.add_events([event(4, NOW_MS + 20)], 4)
    assert _scanned(over, 4, NOW_MS + 20_000) == []
    assert _scanned(over, 5, NOW_MS + 30_000) == []
    assert len(_scanned(over, 6, NOW_MS + 40_000)) == 1


def test_silence_ends_an_execution_and_a_new_event_reopens_it() -> None:
    executions = Executions(Lifecycle.idle(30_000))
    executions.add_events([event(1)], 0)
    assert _scanned(executions, 1, NOW_MS + 29_999) == []
    assert executions.summaries(NOW_MS + 29_999)[0].status == "RUNNING"
    assert executions.drain_range(NOW_MS + 29_999) is None
    assert executions.drain_range(NOW_MS + 30_000) == (NOW_MS, NOW_MS + 30_000)
    assert executions.summaries(NOW_MS + 30_000)[0].status == "UNKNOWN"
    assert _scanned(executions, 2, NOW_MS + 30_000) == []
    executions.add_events([event(2, NOW_MS + 31_000)], 2)
    assert _scanned(executions, 3, NOW_MS + 60_000) == []
    assert _scanned(executions, 4, NOW_MS + 61_000) == []
    [end] = _scanned(executions, 5, NOW_MS + 63_000)
    assert (end.status, end.through) == ("UNKNOWN", NOW_MS + 31_000)


def test_an_execution_stamped_ahead_of_the_clock_is_not_idle() -> None:
    executions = Executions(Lifecycle.idle(30_000))
    executions.add_events([event(1), event(2, NOW_MS + 6_600_000)], 0)
    assert _scanned(executions, 1, NOW_MS + 40_000) == []
    assert executions.drain_range(NOW_MS + 40_000) is None


class _OpenGaps:
    """The open gap of a log group, which the tests open and close."""

    def __init__(self, gap: Range) -> None:
        self.gap: Range | None = gap

    def find(self, from_: int, through: int) -> Range | None:
        if self.gap is None or self.gap[1] < from_ or through < self.gap[0]:
            return None
        return self.gap


LAST_MS = NOW_MS + 10 * DRAIN_MS
GAP = NOW_MS + DRAIN_MS, NOW_MS + DRAIN_MS + 5


def _waiting(gaps: _OpenGaps) -> Executions:
    """An execution of ten minutes whose last part one scan has read since it was over."""
    executions = Executions(Lifecycle.pattern(RULE), gaps.find)
    executions.add_events([event(1), event(2, LAST_MS, message="state=done")], 0)
    assert _scanned(executions, 1, LAST_MS + 10, LAST_MS - DRAIN_MS) == []
    return executions


def test_an_execution_waits_for_an_open_gap_in_its_range_and_its_drains_read_it() -> None:
    gaps = _OpenGaps(GAP)
    executions = _waiting(gaps)
    assert _scanned(executions, 2, LAST_MS + 3_000, LAST_MS - DRAIN_MS) == []
    assert executions.drain_range(LAST_MS + 3_000) == GAP
    gaps.gap = None
    assert executions.drain_range(LAST_MS + 6_000) == (LAST_MS - DRAIN_MS, LAST_MS + 6_000)
    assert len(_scanned(executions, 3, LAST_MS + 6_000, LAST_MS - DRAIN_MS)) == 1


def test_a_gap_just_outside_of_an_executions_events_may_hold_its_first_or_last_ones() -> None:
    for gap, count in [
        ((NOW_MS - END_GAP_MS, NOW_MS - END_GAP_MS), 0),
        ((NOW_MS - END_GAP_MS - 9, NOW_MS - END_GAP_MS - 1), 1),
        ((LAST_MS + END_GAP_MS, LAST_MS + END_GAP_MS), 0),
        ((LAST_MS + END_GAP_MS + 1, LAST_MS + END_GAP_MS + 9), 1),
    ]:
        executions = _waiting(_OpenGaps(gap))
        assert len(_scanned(executions, 2, LAST_MS + 3_000, LAST_MS - DRAIN_MS)) == count


def test_an_execution_waits_for_a_gap_that_stays_open_for_a_bounded_number_of_scans() -> None:
    executions = _waiting(_OpenGaps(GAP))
    scans, now_ms = 0, LAST_MS + 3_000
    while executions.drain_range(now_ms, ["1"]) == GAP:
        assert _scanned(executions, 2 + scans, now_ms, LAST_MS - DRAIN_MS) == []
        executions.count_gap_scan(*GAP, now_ms, ALLOWANCE_MS)
        executions.count_gap_scan(*GAP, now_ms + ALLOWANCE_MS - 1, ALLOWANCE_MS)
        executions.count_gap_scan(LAST_MS * 2, LAST_MS * 3, now_ms * 2, ALLOWANCE_MS)
        scans, now_ms = scans + 1, now_ms + ALLOWANCE_MS
        assert scans <= GAP_SCANS_MAX
    assert scans == GAP_SCANS_MAX
    assert executions.drain_range(now_ms, ["1"]) == (LAST_MS - DRAIN_MS, LAST_MS + DRAIN_MS)
    assert len(_scanned(executions, 2 + scans, now_ms, LAST_MS - DRAIN_MS)) == 1


def test_drains_do_not_read_a_wide_gap() -> None:
    wide = NOW_MS - GAP_WIDTH_MS, NOW_MS + 1
    assert _waiting(_OpenGaps(wide)).drain_range(LAST_MS) == (LAST_MS - DRAIN_MS, LAST_MS)


def test_an_execution_is_ended_from_outside() -> None:
    executions = Executions(Lifecycle.external("ecs:cluster"))
    executions.add_events([event(1), event(2, message="state=done")], 0)
    executions.mark_over("1", "STOPPED", 4)
    executions.mark_over("1", "FAILED", 5)
    executions.mark_over("unheard of", "FAILED", 5)
    assert [_scanned(executions, number, NOW_MS + 9_000 * number) for number in (4, 5)] == [[], []]
    [end] = _scanned(executions, 6, NOW_MS + 90_000)
    assert end.status == "STOPPED"


def test_without_a_lifecycle_no_status_is_known() -> None:
    executions = Executions(None)
    executions.add_events([event(1, message="state=done")], 0)
    executions.mark_over("1", "STOPPED", 0)
    assert [_scanned(executions, number, NOW_MS + 9_000 * number) for number in (1, 2)] == [[], []]
    assert executions.drain_range(NOW_MS) is None
    executions = Executions(None)
    executions.add_events([event(1)], 0)
    assert executions.summaries(NOW_MS)[0].status == "UNKNOWN"


def test_only_recent_or_named_executions_are_worth_a_scan(over: Executions) -> None:
    later = NOW_MS + 50 + FRESH_MS
    assert over.drain_range(later) == (NOW_MS, NOW_MS + 50 + DRAIN_MS)
    assert over.drain_range(later + 1) is None
    assert over.drain_range(later + 1, ["other"]) is None
    assert over.drain_range(later + 1, ["1"]) == (NOW_MS, NOW_MS + 50 + DRAIN_MS)


def test_executions_that_end_together_share_their_scans(executions: Executions) -> None:
    for number in range(4):
        stream, at_ms = f"job/{number}", NOW_MS + 10_000 * number
        last_ms = at_ms + 2 * DRAIN_MS
        events = [
            event(10 * number, at_ms, stream=stream),
            event(10 * number + 1, last_ms, stream=stream),
        ]
        executions.add_events(
            [*events, event(10 * number + 2, last_ms, stream=stream, message="state=done")], 0
        )
    now_ms = NOW_MS + 3 * DRAIN_MS
    wanted = executions.drain_range(now_ms)
    assert wanted == (NOW_MS + DRAIN_MS, now_ms)
    assert _scanned(executions, 1, now_ms, *wanted) == []
    ends = _scanned(executions, 2, now_ms + 3_000, *wanted)
    assert [end.execution for end in ends] == ["0", "1", "2", "3"]


def test_executions_that_end_far_apart_have_their_own_scans(executions: Executions) -> None:
    names = [str(number) for number in range(20)]
    for number, name in enumerate(names):
        at_ms = NOW_MS + number * DRAIN_MS
        executions.add_events([event(number, at_ms, stream=f"job/{name}", message="state=done")], 0)
    now_ms, scans = NOW_MS + 20 * DRAIN_MS, 0
    while (wanted := executions.drain_range(now_ms, names)) is not None:
        scans += 2
        assert wanted[1] - wanted[0] <= DRAIN_WIDTH_MS
        _scanned(executions, scans - 1, now_ms + scans * 9_000, *wanted)
        assert _scanned(executions, scans, now_ms + scans * 9_000 + 8_000, *wanted)
    assert all(executions.end_of(name) for name in names)
    assert 2 < scans < 2 * len(names)


def test_an_execution_that_keeps_writing_gets_a_bounded_number_of_scans(over: Executions) -> None:
    for number in range(2, 2 + TRIES_MAX):
        assert over.drain_range(NOW_MS + 100) is not None
        over.add_events([event(number, NOW_MS + 50)], number)
        assert _scanned(over, number, NOW_MS + 100) == []
    assert over.drain_range(NOW_MS + 100) is None


def test_streams_and_ends_are_loaded_from_a_journal() -> None:
    executions = Executions(Lifecycle.pattern(RULE))
    executions.load(
        [("job/1", 10, 20, 3), ("job/2", 15, 40, 1), ("other/2", 5, 6, 1)],
        {"1": "FAILED", "gone": "FAILED"},
        9,
    )
    table = executions.summaries(NOW_MS)
    assert [(one.execution, one.status, one.first, one.last, one.count) for one in table] == [
        ("2", "RUNNING", 5, 40, 2),
        ("1", "FAILED", 10, 20, 3),
    ]
    assert executions.end_of("1") == ExecutionEnd("1", "FAILED", 10, 20, 9)
    assert executions.end_of("2") is None


def test_a_message_read_again_may_end_an_execution() -> None:
    executions = Executions(Lifecycle.pattern(RULE))
    executions.load([("job/1", NOW_MS, NOW_MS, 1)], {}, 1)
    executions.read_messages([event(1, message="state=stopped")], 1)
    _scanned(executions, 2, NOW_MS + 9_000)
    [end] = _scanned(executions, 3, NOW_MS + 19_000)
    assert end.status == "STOPPED"


def test_silence_ends_an_execution_that_ecs_does_not_know() -> None:
    executions = Executions(Lifecycle.external("ecs:cluster"))
    executions.add_events([event(1), event(2, stream="job/2")], 0)
    assert executions.undecided() == ["1", "2"]
    executions.mark_forgotten("1")
    executions.mark_forgotten("unheard of")
    assert executions.undecided() == ["2"]
    quiet_ms = NOW_MS + FORGOTTEN_MS
    assert executions.summaries(quiet_ms - 1)[0].status == "RUNNING"
    assert executions.drain_range(quiet_ms - 1) is None
    assert executions.drain_range(quiet_ms) is not None
    assert _scanned(executions, 1, quiet_ms) == []
    [end] = _scanned(executions, 2, quiet_ms + ALLOWANCE_MS)
    assert (end.execution, end.status) == ("1", "UNKNOWN")


def test_an_execution_that_writes_again_is_asked_about_again() -> None:
    executions = Executions(Lifecycle.external("ecs:cluster"))
    executions.add_events([event(1)], 0)
    executions.mark_forgotten("1")
    executions.add_events([event(2, NOW_MS + 5)], 0)
    assert executions.undecided() == ["1"]
    executions.mark_forgotten("1")
    for number, begun_ms in ((1, NOW_MS + 90_000), (2, NOW_MS + 95_000)):
        ends = _scanned(executions, number, begun_ms)
    assert [end.status for end in ends] == ["UNKNOWN"]
    late = [event(3, NOW_MS + 9)]
    assert executions.ended_among(late) == ["1"]
    executions.add_events(late, 2)
    assert executions.ended_among(late) == []
    assert executions.undecided() == ["1"]
    executions.mark_over("1", "FAILED", 3)
    for number, begun_ms in ((4, NOW_MS + 99_000), (5, NOW_MS + 105_000)):
        ends = _scanned(executions, number, begun_ms)
    assert [end.status for end in ends] == ["FAILED"]


def test_a_late_event_of_a_task_that_ecs_knew_changes_only_the_count() -> None:
    executions = Executions(Lifecycle.external("ecs:cluster"))
    executions.load([("job/1", NOW_MS, NOW_MS + 50, 3)], {"1": "FAILED"}, 7)
    late = [event(9, NOW_MS + 20)]
    assert executions.ended_among(late) == ["1"]
    executions.add_events(late, 0)
    assert executions.undecided() == []
    for number, begun_ms in ((1, NOW_MS + 99_000), (2, NOW_MS + 105_000)):
        ends = _scanned(executions, number, begun_ms)
    assert [end.status for end in ends] == ["FAILED"]


def test_silence_of_a_filtered_feed_ends_nothing() -> None:
    assert Lifecycle.idle(30_000).without_silence is None
    by_message = Lifecycle.pattern("over").without_silence
    assert by_message is not None
    assert by_message.status_of("over") == "UNKNOWN"
    external = Lifecycle.external("ecs:c").without_silence
    assert external is not None
    assert external.rule == "ecs:c"
    assert not external.is_idle(NOW_MS, NOW_MS + FORGOTTEN_MS, is_forgotten=True)


@pytest.mark.parametrize("rule", [Lifecycle.pattern("over"), Lifecycle.idle(30_000)])
def test_a_scan_of_the_present_skips_old_open_executions(
    rule: Lifecycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    executions = Executions(rule)
    day_ms = 86_400_000
    old = [(f"job/old-{one}", NOW_MS - day_ms, NOW_MS - day_ms + one, 1) for one in range(999)]
    executions.load([*old, ("job/new", NOW_MS - 50_000, NOW_MS - 40_000, 1)], {}, 9)
    looked: list[int] = []
    is_idle = Executions._is_idle

    def counted(self: Executions, state: _State, now_ms: int) -> bool:
        looked.append(state.last)
        return is_idle(self, state, now_ms)

    monkeypatch.setattr(Executions, "_is_idle", counted)
    _scanned(executions, 1, NOW_MS, NOW_MS - 120_000)
    executions.drain_range(NOW_MS)
    assert set(looked) == {NOW_MS - 40_000}
    looked.clear()
    executions.drain_range(NOW_MS, ["old-7"])
    _scanned(executions, 2, NOW_MS, NOW_MS - 2 * day_ms)
    assert len(set(looked)) == 1_000


def test_an_execution_that_keeps_writing_is_found_by_its_last_event() -> None:
    executions = Executions(Lifecycle.idle(30_000))
    for minute in range(5):
        executions.add_events([event(minute + 1, NOW_MS + minute * 60_000)], 0)
    last = NOW_MS + 4 * 60_000
    assert _scanned(executions, 1, last + 31_000, last - 60_000) == []
    [end] = _scanned(executions, 2, last + 35_000, last - 60_000)
    assert (end.from_, end.through) == (NOW_MS, last)
    assert executions._minutes == {}
