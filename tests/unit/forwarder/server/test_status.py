from __future__ import annotations

from forwarder.server.status import CallRate


def test_calls_of_the_first_minute_are_those_so_far() -> None:
    rate = CallRate()
    rate.sample(0, 0)
    assert rate.per_minute(10, 7) == 7


def test_calls_of_the_last_minute_at_a_steady_rate() -> None:
    rate = CallRate()
    for second in range(0, 600, 5):
        rate.sample(second, 2 * second)
    assert rate.per_minute(600, 1_200) == 120


def test_calls_that_ended_are_forgotten_after_a_minute() -> None:
    rate = CallRate()
    for second in range(0, 200, 5):
        rate.sample(second, min(2 * second, 100))
    assert rate.per_minute(200, 100) == 0
