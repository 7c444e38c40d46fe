from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forwarder.cluster.engine import EngineClock

TIMES = st.integers(0, 10_000)


def test_the_wall_clock_is_believed_until_the_engine_answers() -> None:
    assert EngineClock(lambda: 7).now_ms() == 7


@given(st.lists(st.tuples(TIMES, st.integers(0, 500), st.integers(0, 500)), min_size=1), TIMES)
def test_the_estimate_lies_within_the_last_answers_bounds(
    answers: list[tuple[int, int, int]], ahead_ms: int
) -> None:
    clock = EngineClock(lambda: 0)
    for asked_ms, before_ms, after_ms in answers:
        clock.note(asked_ms, asked_ms + before_ms + after_ms, asked_ms + before_ms + ahead_ms)
        assert ahead_ms - after_ms <= clock.now_ms() <= ahead_ms + before_ms


def test_a_slow_answer_does_not_disturb_a_good_estimate() -> None:
    clock = EngineClock(lambda: 0)
    clock.note(100, 102, 1_101)
    before = clock.now_ms()
    clock.note(200, 5_200, 1_300)
    assert clock.now_ms() == before
