"""The pace of calls, and the waits after failures."""

from __future__ import annotations

from forwarder.cloudwatch.budget import BURST, RATE_FIRST, RATE_MAX, RATE_MIN, Backoff, CallBudget


def take_all(budget: CallBudget, now_ms: float) -> int:
    taken = 0
    while budget.wait_ms(now_ms) == 0:
        budget.take(now_ms)
        taken += 1
    return taken


def test_a_burst_then_the_rate() -> None:
    budget = CallBudget(0)
    assert take_all(budget, 0) == BURST
    assert budget.wait_ms(0) == 1000 / RATE_FIRST
    assert take_all(budget, 500) == RATE_FIRST / 2


def test_nothing_is_saved_up_beyond_the_burst() -> None:
    budget = CallBudget(0)
    assert take_all(budget, 3_600_000) == BURST


def test_a_throttled_call_halves_the_rate_and_empties_the_bucket() -> None:
    budget = CallBudget(0)
    budget.throttled(0)
    assert budget.rate == RATE_FIRST / 2
    assert take_all(budget, 0) == 0
    assert budget.wait_ms(0) == 1000 / budget.rate


def test_calls_throttled_together_count_once() -> None:
    budget = CallBudget(0)
    for now_ms in (0, 1, 999):
        budget.throttled(now_ms)
    assert budget.rate == RATE_FIRST / 2
    budget.throttled(1000)
    assert budget.rate == RATE_FIRST / 4


def test_the_rate_stays_within_its_bounds() -> None:
    budget = CallBudget(0)
    for second in range(100):
        budget.throttled(second * 1000)
    assert budget.rate == RATE_MIN
    for _ in range(10_000):
        budget.succeeded()
    assert budget.rate == RATE_MAX


def test_a_clock_that_goes_back_gives_nothing() -> None:
    budget = CallBudget(1000)
    take_all(budget, 1000)
    assert take_all(budget, 0) == 0


def test_backoff_doubles_up_to_its_ceiling_and_starts_anew() -> None:
    backoff = Backoff(100, 1000, lambda: 1.0)
    assert [backoff.failed() for _ in range(5)] == [100, 200, 400, 800, 1000]
    assert backoff.failures == 5
    backoff.succeeded()
    assert backoff.failed() == 100


def test_backoff_jitters_over_the_upper_half() -> None:
    assert Backoff(100, 1000, lambda: 0.0).failed() == 50
    assert Backoff(100, 1000, lambda: 0.5).failed() == 75


def test_backoff_goes_on_for_ever() -> None:
    backoff = Backoff(100, 30_000, lambda: 1.0)
    assert [backoff.failed() for _ in range(10_000)][-1] == 30_000
