from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_engine import EPOCH_MS, make_line
from tui.lines import counts
from tui.lines.counts import STEPS_MS, Bucket, Streams, Volume
from wire.messages import Origin


def test_streams_are_counted_by_name() -> None:
    streams = Streams()
    for number, name in enumerate(["a", "b", "a"]):
        assert not streams.take(make_line(number, "x", stream=name))
    assert streams.counts == {"a": 2, "b": 1}


def test_streams_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "STREAMS_MAX", 2)
    streams = Streams()
    for number in range(5):
        streams.take(make_line(number, "x", stream=str(number % 4)))
    assert streams.counts == {"0": 2, "1": 1}
    assert streams.others == 2


def test_levels_and_ways_of_a_span() -> None:
    volume = Volume()
    lines: list[tuple[str, Origin]] = [
        ("ERROR a", "live"),
        ("FATAL b", "backfill"),
        ("WARN c", "repair"),
        ("d", "live"),
    ]
    for number, (message, origin) in enumerate(lines):
        at_ms = EPOCH_MS + number
        assert not volume.take(make_line(number, message, at_ms=at_ms, origin=origin))
    assert list(volume.buckets.values()) == [Bucket(4, 2, 1, 1, 1)]
    assert volume.span_ms == (EPOCH_MS, EPOCH_MS + 99)


def test_nothing_yet() -> None:
    assert Volume().span_ms is None


def test_each_step_is_a_multiple_of_the_one_before() -> None:
    assert all(longer % shorter == 0 for shorter, longer in pairwise((*STEPS_MS, 86_400_000)))


@given(st.lists(st.integers(0, 1 << 45), max_size=60))
def test_however_long_no_line_is_lost(times: list[int]) -> None:
    volume = Volume(level=lambda _message: "error")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "BUCKETS_MAX", 4)
        for number, at_ms in enumerate(times):
            volume.take(make_line(number, "x", at_ms=at_ms))
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
