from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_engine import EPOCH_MS, make_line, make_rule
from tui.lines import counts
from tui.lines.counts import (
    SLICE_ROWS,
    STEPS_MS,
    LineCounter,
    LineVolume,
    StreamCounts,
    VolumeBucket,
    count_all_lines,
)
from tui.lines.rows import Change, Line
from tui.lines.timeline import Timeline
from wire.messages import Origin


def test_streams_are_counted_by_name() -> None:
    streams = StreamCounts()
    for number, name in enumerate(["a", "b", "a"]):
        streams.add(make_line(number, "x", stream=name))
    assert streams.counts == {"a": 2, "b": 1}


def test_streams_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "STREAMS_MAX", 2)
    streams = StreamCounts()
    for number in range(5):
        streams.add(make_line(number, "x", stream=str(number % 4)))
    assert streams.counts == {"0": 2, "1": 1}
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
