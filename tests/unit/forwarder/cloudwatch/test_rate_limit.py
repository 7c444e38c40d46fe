"""Order, concurrency and rate of calls."""

from __future__ import annotations

import asyncio
import threading
from random import Random

import pytest

from common.concurrency import Backoff
from forwarder.cloudwatch.fair_queue import Priority
from forwarder.cloudwatch.rate_limit import (
    DEFAULT_SHARE,
    POLL_SLOTS,
    RATE_MIN,
    RECOVERY_MS,
    SLOTS_MAX,
    CallBudget,
    CallQueue,
    filter_quota,
    startable,
)

POLL, SCAN = Priority.POLL, Priority.SCAN
LIMIT = 10.0


class Blocked:
    """Calls that block until they are released, in the order in which they began."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self._gates: dict[str, threading.Event] = {}
        self._changed = threading.Condition()

    def call(self, name: str) -> str:
        with self._changed:
            self.began.append(name)
            gate = self._gates.setdefault(name, threading.Event())
            self._changed.notify_all()
        assert gate.wait(240)
        return name

    def let_go(self, name: str) -> None:
        with self._changed:
            self._gates.setdefault(name, threading.Event()).set()

    async def wait_for(self, count: int) -> None:
        def wait() -> None:
            with self._changed:
                assert self._changed.wait_for(lambda: len(self.began) >= count, 60)

        await asyncio.to_thread(wait)


@pytest.fixture
async def queue() -> CallQueue:
    return CallQueue(1e6)  # the pace is that of other tests


def start(queue: CallQueue, blocked: Blocked, name: str, priority: Priority) -> asyncio.Task[str]:
    return asyncio.create_task(queue.call(lambda: blocked.call(name), priority))


async def test_results_and_errors_come_back(queue: CallQueue) -> None:
    assert await queue.call(lambda: 7, SCAN) == 7
    with pytest.raises(ZeroDivisionError):
        await queue.call(lambda: 1 // 0, SCAN)


async def test_it_runs_in_a_daemon_thread_of_its_own(queue: CallQueue) -> None:
    thread = await queue.call(threading.current_thread, POLL)
    assert thread.daemon
    assert thread is not threading.main_thread()


async def test_scans_leave_slots_to_polls(queue: CallQueue) -> None:
    blocked = Blocked()
    scans = [start(queue, blocked, f"scan {n}", SCAN) for n in range(SLOTS_MAX)]
    await blocked.wait_for(SLOTS_MAX - POLL_SLOTS)
    polls = [start(queue, blocked, f"poll {n}", POLL) for n in range(POLL_SLOTS)]
    await blocked.wait_for(SLOTS_MAX)
    assert sum(name.startswith("scan") for name in blocked.began) == SLOTS_MAX - POLL_SLOTS
    for n in range(SLOTS_MAX):
        blocked.let_go(f"scan {n}")
        blocked.let_go(f"poll {n}")
    await asyncio.gather(*scans, *polls)
    assert len(blocked.began) == SLOTS_MAX + POLL_SLOTS


def test_which_priorities_may_start() -> None:
    assert startable(0) == startable(SLOTS_MAX - POLL_SLOTS - 1) == set(Priority)
    assert startable(SLOTS_MAX - POLL_SLOTS) == startable(SLOTS_MAX - 1) == {POLL}
    assert startable(SLOTS_MAX) == set()


async def test_a_call_given_up_while_it_waits_is_never_made() -> None:
    queue = CallQueue(1e-9)
    await queue.call(lambda: 0, POLL)
    waiting = asyncio.create_task(queue.call(lambda: 1, POLL))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(queue._waiting) == 0
    assert queue._running == 0


async def test_a_turn_that_is_not_used_frees_its_slot(queue: CallQueue) -> None:
    turn = await queue.wait_turn("group", SCAN)
    assert queue._running == 1
    turn.release()
    turn.release()
    assert queue._running == 0


async def test_a_call_with_a_turn_starts_at_once() -> None:
    queue = CallQueue(1e-9)
    turn = await queue.wait_turn("group", SCAN)
    assert await queue.call(lambda: 7, SCAN, turn=turn) == 7
    assert queue._running == 0
    turn.release()
    assert queue._running == 0


async def test_a_turn_that_comes_to_a_cancelled_task_is_given_back(queue: CallQueue) -> None:
    turns = [await queue.wait_turn("group", POLL) for _ in range(SLOTS_MAX)]
    waiting = asyncio.create_task(queue.wait_turn("group", POLL))
    await asyncio.sleep(0)
    turns.pop().release()  # its turn comes, but it does not run any more
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert queue._running == len(turns)


async def test_a_task_that_is_just_being_cancelled_gets_no_turn(queue: CallQueue) -> None:
    turns = [await queue.wait_turn("group", POLL) for _ in range(SLOTS_MAX)]
    first, second = (asyncio.create_task(queue.wait_turn("group", POLL)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()  # it has not run since, and still waits in the queue
    turns.pop().release()
    turns.append(await second)
    with pytest.raises(asyncio.CancelledError):
        await first
    assert queue._running == len(turns) == SLOTS_MAX


async def test_a_call_given_up_running_keeps_its_slot_until_it_ends(
    queue: CallQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = Blocked()
    task = start(queue, blocked, "hangs", POLL)
    await blocked.wait_for(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert queue._running == 1
    ended = asyncio.Event()
    monkeypatch.setattr(queue, "_start_waiting", ended.set)
    blocked.let_go("hangs")
    await ended.wait()
    assert queue._running == 0


async def test_the_pace_is_kept() -> None:
    queue = CallQueue(100.0)
    queue.set_limit(100.0, 100.0)  # no burst
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(queue.call(lambda: None, SCAN) for _ in range(6)))
    assert loop.time() - began >= 0.045  # five more at 10 ms each; never sooner


async def test_a_queue_closed_in_one_loop_works_in_another() -> None:
    queue = CallQueue(LIMIT)
    assert await queue.call(lambda: 1, POLL) == 1
    queue.close()
    assert await asyncio.to_thread(lambda: asyncio.run(queue.call(lambda: 2, POLL))) == 2


@pytest.mark.parametrize(
    ("region", "quota"),
    [("us-east-1", 25), ("eu-central-1", 5), ("eu-west-1", 10), ("ap-southeast-3", 5), ("", 10)],
)
def test_the_published_quotas(region: str, quota: float) -> None:
    assert filter_quota(region) == quota


def take_all(budget: CallBudget, now_ms: float) -> int:
    taken = 0
    while budget.wait_ms(now_ms) == 0:
        budget.spend(now_ms)
        taken += 1
    return taken


def test_a_burst_then_the_rate() -> None:
    budget = CallBudget(0, LIMIT)
    assert take_all(budget, 0) == LIMIT / 2
    assert budget.wait_ms(0) == 1000 / LIMIT
    assert take_all(budget, 400) == 4


def test_nothing_is_saved_up_beyond_the_burst() -> None:
    budget = CallBudget(0, LIMIT)
    assert take_all(budget, 3_600_000) == LIMIT / 2


@pytest.mark.parametrize("quota", [5.0, 10.0, 25.0])
@pytest.mark.parametrize("share", [0.1, DEFAULT_SHARE, 0.7, 1.0])
def test_no_second_has_more_calls_than_the_quota_and_one(quota: float, share: float) -> None:
    budget = CallBudget(0, quota * share, quota)
    begun = [at for at in range(0, 10_000, 5) for _ in range(take_all(budget, at))]
    most = max(sum(at <= one < at + 1000 for one in begun) for at in begun)
    assert most <= (quota if share <= DEFAULT_SHARE else quota + 1)
    assert len(begun) >= 9.9 * quota * share


def test_a_throttled_call_halves_the_rate_and_empties_the_bucket() -> None:
    budget = CallBudget(0, LIMIT)
    budget.record_throttling(0)
    assert budget.rate == LIMIT / 2
    assert take_all(budget, 0) == 0
    assert budget.wait_ms(0) == 1000 / budget.rate


def test_calls_throttled_together_count_once() -> None:
    budget = CallBudget(0, LIMIT)
    for now_ms in (0, 1, 999):
        budget.record_throttling(now_ms)
    assert budget.rate == LIMIT / 2
    budget.record_throttling(1000)
    assert budget.rate == pytest.approx(LIMIT / 4, rel=0.05)


def test_the_rate_stays_within_its_bounds() -> None:
    budget = CallBudget(0, LIMIT)
    for second in range(100):
        budget.record_throttling(second * 1000)
    assert budget.rate == RATE_MIN
    budget.wait_ms(99_000 + RECOVERY_MS / 2)
    assert budget.rate == pytest.approx(RATE_MIN + LIMIT / 2)
    budget.wait_ms(10**9)
    assert budget.rate == LIMIT


def test_a_limit_below_the_lowest_rate_holds() -> None:
    budget = CallBudget(0, 0.1)
    budget.record_throttling(0)
    assert budget.rate == 0.1


def test_a_limit_can_be_lowered_and_raised() -> None:
    budget = CallBudget(0, LIMIT)
    budget.set_limit(2.0, 5.0)
    assert budget.rate == 2.0
    budget.set_limit(LIMIT)
    budget.wait_ms(RECOVERY_MS)
    assert budget.rate == LIMIT


def settle(limits: list[float], quota: float, seconds: int = 1_200) -> list[list[int]]:
    """Calls of each forwarder in each second, while the account refuses beyond ``quota``."""
    random = Random(len(limits))
    budgets = [CallBudget(0, limit, quota) for limit in limits]
    calls: list[list[int]] = [[] for _ in budgets]
    tokens = quota
    for second in range(seconds):
        for counts in calls:
            counts.append(0)
        for at in range(second * 1000, (second + 1) * 1000, 10):
            tokens = min(quota, tokens + quota * 0.01)
            for one, budget in random.sample(list(enumerate(budgets)), len(budgets)):
                # A call takes some time to reach the account.
                if budget.wait_ms(at) > 0 or random.random() < 0.5:
                    continue
                budget.spend(at)
                if tokens >= 1:
                    tokens -= 1
                    calls[one][second] += 1
                else:
                    budget.record_throttling(at)
    return calls


@pytest.mark.parametrize("quota", [5.0, 10.0, 25.0])
def test_forwarders_of_one_account_settle_beside_each_other(quota: float) -> None:
    for limits in ([quota, quota], [quota, quota, quota], [quota, quota / 2]):
        calls = settle(limits, quota)
        sums = [sum(counts[300:]) / 900 for counts in calls]
        fair = quota / len(limits)
        assert sum(sums) >= 0.6 * quota, limits
        assert min(sums) >= 0.4 * fair, (limits, sums)


def test_two_forwarders_at_half_the_quota_do_not_disturb_each_other() -> None:
    assert [sum(counts[60:]) / 1_140 for counts in settle([2.5, 2.5], 5.0)] == pytest.approx(
        [2.5, 2.5], rel=0.02
    )


def test_a_clock_that_goes_back_gives_nothing() -> None:
    budget = CallBudget(1000, LIMIT)
    take_all(budget, 1000)
    assert take_all(budget, 0) == 0


def test_backoff_doubles_up_to_its_ceiling_and_resets() -> None:
    backoff = Backoff(100, 1000, lambda: 1.0)
    assert [backoff.count_failure() for _ in range(5)] == [100, 200, 400, 800, 1000]
    assert backoff.failures == 5
    backoff.reset()
    assert backoff.count_failure() == 100


def test_backoff_jitters_over_the_upper_half() -> None:
    assert Backoff(100, 1000, lambda: 0.0).count_failure() == 50
    assert Backoff(100, 1000, lambda: 0.5).count_failure() == 75


def test_backoff_goes_on_for_ever() -> None:
    backoff = Backoff(100, 30_000, lambda: 1.0)
    assert [backoff.count_failure() for _ in range(10_000)][-1] == 30_000
