from __future__ import annotations

import pytest

from simulator.acceptance import (
    BATCH_BYTES_MAX,
    EVENT_OVERHEAD_BYTES,
    NewEvent,
    PutBatch,
    accepted_part,
    batches,
)
from simulator.errors import SimulatorError

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000


def events(*timestamps: int, stream: str = "a", message: str = "x") -> list[NewEvent]:
    return [NewEvent(stream, timestamp, message) for timestamp in timestamps]


def sizes(made: list[PutBatch]) -> list[int]:
    return [len(batch.events) for batch in made]


def test_a_batch_is_of_one_stream_and_chronological() -> None:
    made = batches(events(3, 1, stream="a") + events(2, stream="b"), now_ms=3)
    assert [batch.stream for batch in made] == ["a", "b"]
    assert [event.timestamp for event in made[0].events] == [1, 3]


def test_equal_timestamps_keep_the_order_of_writing() -> None:
    made = batches([NewEvent("a", 1, text) for text in "cab"], now_ms=1)
    assert [event.message for event in made[0].events] == ["c", "a", "b"]


def test_a_batch_holds_10000_events() -> None:
    assert sizes(batches(events(*[NOW_MS] * 10_001), NOW_MS)) == [10_000, 1]


def test_a_batch_holds_1_mib_counting_26_bytes_an_event() -> None:
    half = "x" * (BATCH_BYTES_MAX // 2 - EVENT_OVERHEAD_BYTES)
    assert sizes(batches(events(NOW_MS, NOW_MS, message=half), NOW_MS)) == [2]
    assert sizes(batches(events(NOW_MS, NOW_MS, NOW_MS, message=half), NOW_MS)) == [2, 1]
    assert sizes(batches(events(NOW_MS, NOW_MS, message=half + "x"), NOW_MS)) == [1, 1]


def test_size_is_in_utf8_bytes() -> None:
    half = "注" * ((BATCH_BYTES_MAX // 2 - EVENT_OVERHEAD_BYTES) // 3 + 1)
    assert sizes(batches(events(NOW_MS, NOW_MS, message=half), NOW_MS)) == [1, 1]


def test_a_batch_spans_24_hours() -> None:
    day = [NOW_MS - 24 * HOUR_MS, NOW_MS]
    assert sizes(batches(events(*day), NOW_MS)) == [2]
    assert sizes(batches(events(day[0] - 1, day[1]), NOW_MS)) == [1, 1]


def test_events_that_may_be_refused_go_alone() -> None:
    old = NOW_MS - 14 * 24 * HOUR_MS
    ahead = NOW_MS + 2 * HOUR_MS
    made = batches(events(old, old, NOW_MS, NOW_MS, ahead, ahead), NOW_MS)
    assert sizes(made) == [1, 1, 2, 1, 1]


@pytest.mark.parametrize("message", ["", "x" * BATCH_BYTES_MAX])
def test_an_event_that_no_batch_holds_is_refused(message: str) -> None:
    with pytest.raises(SimulatorError, match="an event must have"):
        batches(events(NOW_MS, message=message), NOW_MS)


def test_what_was_accepted_follows_from_the_answer() -> None:
    batch = PutBatch("a", tuple(events(1, 2, 3, 4)))
    assert accepted_part(batch, {}) == batch.events
    assert accepted_part(batch, {"tooOldLogEventEndIndex": 1}) == batch.events[1:]
    assert accepted_part(batch, {"expiredLogEventEndIndex": 2}) == batch.events[2:]
    assert accepted_part(batch, {"tooNewLogEventStartIndex": 3}) == batch.events[:3]
    both = {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 3}
    assert accepted_part(batch, both) == batch.events[1:3]


@pytest.mark.parametrize(
    "answer",
    [
        {"tooOldLogEventEndIndex": 1},
        {"tooOldLogEventEndIndex": 0},  # moto, off by one
        {"tooNewLogEventStartIndex": 0},
    ],
)
def test_of_a_lone_event_any_answer_means_that_one(answer: dict[str, int]) -> None:
    assert accepted_part(PutBatch("a", tuple(events(1))), answer) == ()
