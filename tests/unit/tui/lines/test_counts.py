from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_engine import EPOCH_MS, make_line, make_rule
from tui.lines import counts, patterns
from tui.lines.counts import (
    SLICE_COST,
    SLICE_ROWS,
    SPARK_BUCKETS_MAX,
    STEPS_MS,
    LineCounter,
    LineVolume,
    PatternCounter,
    PatternCounts,
    PatternSummary,
    StreamCounts,
    VolumeBucket,
    count_all_lines,
    count_all_patterns,
)
from tui.lines.levels import level_of
from tui.lines.patterns import PatternMatcher
from tui.lines.rows import Change, Line
from tui.lines.timeline import Timeline
from tui.lines.view import LevelTest
from wire.messages import Origin


def test_streams_are_counted_by_group_and_name() -> None:
    streams = StreamCounts()
    for number, (target, name) in enumerate([(0, "a"), (0, "b"), (0, "a"), (1, "a")]):
        streams.add(make_line(number, "x", stream=name, target=target))
    assert streams.counts == {(0, "a"): 2, (0, "b"): 1, (1, "a"): 1}


def test_streams_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "STREAMS_MAX", 2)
    streams = StreamCounts()
    for number in range(5):
        streams.add(make_line(number, "x", stream=str(number % 4)))
    assert streams.counts == {(0, "0"): 2, (0, "1"): 1}
    assert streams.others == 2


def test_counts_by_level_and_origin() -> None:
    volume = LineVolume()
    lines: list[tuple[str, Origin]] = [
        ("ERROR a", "live"),
        ("FATAL b", "backfill"),
        ("WARN c", "repair"),
        ("d", "live"),
    ]
    for number, (message, origin) in enumerate(lines):
        at_ms = EPOCH_MS + number
        volume.add(make_line(number, message, at_ms=at_ms, origin=origin))
    assert list(volume.buckets.values()) == [VolumeBucket(4, 2, 1, 1, 1)]
    assert volume.span_ms == (EPOCH_MS, EPOCH_MS + 99)


def test_an_empty_volume_has_no_span() -> None:
    assert LineVolume().span_ms is None


def test_each_step_is_a_multiple_of_the_one_before() -> None:
    assert all(longer % shorter == 0 for shorter, longer in pairwise((*STEPS_MS, 86_400_000)))


@given(st.lists(st.integers(0, 1 << 45), max_size=60))
def test_coarser_buckets_lose_no_line(times: list[int]) -> None:
    volume = LineVolume(level=lambda _message: "error")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "BUCKETS_MAX", 4)
        for number, at_ms in enumerate(times):
            volume.add(make_line(number, "x", at_ms=at_ms))
            assert len(volume.buckets) <= 4
    assert sum(one.lines for one in volume.buckets.values()) == len(times)
    assert sum(one.errors for one in volume.buckets.values()) == len(times)
    span = volume.span_ms
    assert (span is None) == (not times)
    if span is not None:
        assert span[0] <= min(times)
        assert max(times) <= span[1]
    for at_ms in times:
        assert at_ms // volume.step_ms in volume.buckets


class Taken:
    """What was counted."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def take(self, line: Line) -> bool:
        self.messages.append(line.message)
        return False


def filled(count: int) -> Timeline:
    timeline = Timeline()
    timeline.add_many(make_line(number, str(number)) for number in range(count))
    timeline.add_many([make_rule(1, EPOCH_MS, "offline")])
    return timeline


def test_lines_are_counted_newest_first_in_slices() -> None:
    taken = Taken()
    count = LineCounter(filled(SLICE_ROWS + 10), taken.take)
    assert [(count.step(), len(taken.messages), count.is_done) for _ in range(2)] == [
        (True, SLICE_ROWS, False),
        (False, SLICE_ROWS + 10, True),
    ]
    assert sorted(map(int, taken.messages)) == list(range(SLICE_ROWS + 10))


def test_lines_that_arrive_meanwhile_are_counted_once() -> None:
    timeline, taken = filled(SLICE_ROWS + 10), Taken()
    count = LineCounter(timeline, taken.take)
    count.step()
    early = make_line(90_000, "early", at_ms=EPOCH_MS + 50)
    late = make_line(90_001, "late", at_ms=EPOCH_MS + (SLICE_ROWS + 5) * 100 + 50)
    count.apply(timeline.add_many([early, late, make_line(80_000, "new")]))
    while count.step():
        pass
    for message in ("early", "late", "new", "0", "1000"):
        assert taken.messages.count(message) == 1


def test_refetched_lines_are_not_counted_again() -> None:
    timeline, taken = filled(5), Taken()
    count = LineCounter(timeline, taken.take)
    count.step()
    again = make_line(2, "2")
    count.apply(Change(evicted=1, removed=((again.key, again.key),)))
    count.apply(Change(added=1, inserted=(again.key,)))
    assert taken.messages.count("2") == 1


@pytest.mark.parametrize("is_wanted", [True, False])
async def test_counting_ends_when_done_or_unwanted(is_wanted: bool) -> None:  # noqa: FBT001
    taken = Taken()
    count = LineCounter(filled(3 * SLICE_ROWS), taken.take)
    await count_all_lines(count, lambda: is_wanted)
    assert count.is_done == is_wanted
    assert bool(taken.messages) == is_wanted


# Patterns

messages = st.lists(
    st.lists(st.sampled_from([*"abcd", "user", "left", "7", "ERROR", "a1b"]), max_size=4).map(
        " ".join
    )
    | st.builds(
        lambda text, level: json.dumps({"msg": text, "level": level}),
        st.sampled_from(["paid 7", "paid 12", "refused"]),
        st.sampled_from([30, 50, "warn"]),
    ),
    max_size=60,
)


def totals(found: PatternCounts) -> list[tuple[int, int, int]]:
    return [(one.count, one.levels.total(), one.buckets.total()) for one in found.summaries()]


@given(messages, st.integers(1, 20), st.integers(0, 1_000_000))
def test_every_line_is_of_one_pattern(lines: list[str], cost: int, interval_ms: int) -> None:
    found = PatternCounts()
    times = [EPOCH_MS + number * interval_ms for number in range(len(lines))]
    at = 0
    while at < len(lines):
        after = found.add_some(lines, times, at, cost)
        assert at < after <= len(lines)
        at = after
    assert found.lines == len(lines)
    assert sum(count for count, _, _ in totals(found)) + found.others == len(lines)
    for count, by_level, by_time in totals(found):
        assert count == by_level == by_time
    for one in found.summaries():
        matches = PatternMatcher(one.text).matches
        matching = [at for at, line in zip(times, lines, strict=True) if matches(line)]
        assert one.count <= len(matching)
        assert one.first_ms in matching
        assert one.last_ms in matching
    levels = Counter(map(level_of, lines))
    assert sum((one.levels for one in found.summaries()), Counter()) == +levels


def test_lines_beyond_the_most_patterns_are_counted_as_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patterns, "PATTERNS_MAX", 2)
    found = PatternCounts()
    found.add(["a", "b c", "d e f", "a", "d e f"], [1, 2, 3, 4, 5])
    assert (found.lines, found.others) == (5, 2)
    assert totals(found) == [(2, 2, 2), (1, 1, 1)]


def test_forms_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "FORMS_MAX", 3)
    found = PatternCounts()
    lines = [f"{word} is here" for word in "abcdefgh"] * 3
    found.add(lines, range(len(lines)))
    assert len(found._forms) <= 3
    assert sum(count for count, _, _ in totals(found)) == len(lines)


@pytest.mark.parametrize(
    ("message", "others"),
    [
        ("<11>Nov 23 12:00:00 host app: x", "<14>Nov 23 12:00:00 host app: x"),
        ("level=30 msg=x n=1", "level=50 msg=x n=1"),
        ('{"level": 30, "msg": "x"}', '{"level": 50, "msg": "x"}'),
        ('{"severity": "ERROR", "msg": "x"}', '{"severity": "INFO", "msg": "x"}'),
        (
            '{"level": 30, "msg": "x", "a": {"level": 50}}',
            '{"msg": "x", "a": {"level": 50}, "level": 40}',
        ),
    ],
)
def test_levels_that_are_masked_are_told_apart(message: str, others: str) -> None:
    found = PatternCounts()
    found.add([message, others], [1, 2])
    levels = sum((one.levels for one in found.summaries()), Counter())
    assert levels == Counter(map(level_of, [message, others]))


def test_buckets_become_longer() -> None:
    found = PatternCounts()
    hours = [EPOCH_MS + hour * 3_600_000 for hour in range(100)]
    found.add(["x"] * 100, hours)
    (one,) = found.summaries()
    assert len(one.buckets) <= SPARK_BUCKETS_MAX
    assert found.span_ms == (hours[0], hours[-1])
    volume = one.volume(found.step_ms, found.span_ms, 10)
    assert sum(volume) == 100
    assert all(volume)


@pytest.mark.parametrize(
    ("times_s", "since_s", "now_s", "mark"),
    [
        ([100, 110], 90, 110, "new"),
        ([80, 110], 90, 110, ""),
        ([10, 20, 30], 40, 100, "gone"),
        ([10, 20, 30], 40, 50, ""),  # may still come
        ([10, 11, 12], 40, 21, ""),  # too soon to tell
        ([10, 20], 40, 100, ""),  # no rhythm
    ],
)
def test_what_is_new_or_gone(times_s: list[int], since_s: int, now_s: int, mark: str) -> None:
    found = PatternCounts()
    found.add(["x"] * len(times_s), [one * 1_000 for one in times_s])
    (one,) = found.summaries()
    assert one.mark(since_s * 1_000, now_s * 1_000) == mark


def test_the_main_level_is_that_of_most_lines() -> None:
    one = PatternSummary("x", levels=Counter({"info": 2, "error": 2, None: 1}))
    assert one.main_level() == "error"
    assert PatternSummary("x", levels=Counter({"info": 1, None: 2})).main_level() is None


def counted(counter: PatternCounter) -> PatternCounts:
    while counter.step():
        pass
    return counter.counts


def test_patterns_of_a_timeline_are_counted_once_each_in_steps() -> None:
    timeline = Timeline()
    for first in range(0, 30_000, 5_000):
        timeline.add_many(make_line(first + at, f"frame {at} done") for at in range(5_000))
    timeline.add_many([make_rule(1, EPOCH_MS + 50, "offline")])
    counter = PatternCounter(timeline)
    steps = 0
    while counter.step():
        steps += 1
        assert counter.counts.lines <= steps * SLICE_COST
    assert counter.is_done
    assert totals(counter.counts) == [(30_000,) * 3]
    assert steps >= 30_000 / SLICE_COST - 1


def test_patterns_of_lines_that_arrive_meanwhile() -> None:
    timeline = Timeline()
    timeline.add_many(make_line(number, "old 1") for number in range(5_000))
    counter = PatternCounter(timeline)
    counter.step()
    counter.apply(timeline.add_many([make_line(9_000, "new"), make_line(9_001, "new")]))
    assert "new" in [one.text for one in counter.counts.summaries()]
    counter.apply(timeline.add_many(make_line(10_000 + at, "flood") for at in range(2_000)))
    assert not counter.is_done
    found = {one.text: one.count for one in counted(counter).summaries()}
    assert found == {"old *": 5_000, "new": 2, "flood": 2_000}


def test_patterns_of_lines_that_pass_a_test() -> None:
    timeline = Timeline()
    timeline.add_many(make_line(at, "ERROR x" if at % 3 else "INFO x") for at in range(40_000))
    found = counted(PatternCounter(timeline, LevelTest("error"))).summaries()
    assert [(one.text, one.count) for one in found] == [("ERROR x", 26_666)]


def test_patterns_of_refetched_lines_are_not_counted_again() -> None:
    timeline = Timeline(capacity=2_000)
    timeline.add_many(make_line(number, "x") for number in range(3_000))
    counter = PatternCounter(timeline)
    counted(counter)
    first = counter.counts.lines
    for start in range(3_000, 6_000, 500):
        lines = [make_line(number, "x") for number in range(start, start + 500)]
        counter.apply(timeline.add_many(lines))
    counted(counter)
    gone = timeline.evicted_at(make_line(2_500, "x").key)
    assert gone is not None
    lines = [make_line(number, "x") for number in range(3_000)]
    lines = [line for line in lines if gone.low <= line.key <= gone.high]
    counter.apply(timeline.restore(gone, lines))
    assert counted(counter).lines == first + 3_000


@pytest.mark.parametrize("is_wanted", [True, False])
async def test_counting_patterns_ends_when_done_or_unwanted(is_wanted: bool) -> None:  # noqa: FBT001
    timeline = Timeline()
    timeline.add_many(make_line(number, "x") for number in range(5_000))
    counter = PatternCounter(timeline)
    await count_all_patterns(counter, lambda: is_wanted)
    assert counter.is_done is is_wanted
