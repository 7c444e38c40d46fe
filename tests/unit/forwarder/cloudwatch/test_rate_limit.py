"""Order, concurrency and rate of calls."""

from __future__ import annotations

import asyncio
import threading

import pytest

from common.concurrency import Backoff
from forwarder.cloudwatch.rate_limit import (
    BURST,
    POLL_SLOTS,
    POLLS_IN_A_ROW_MAX,
    RATE_FIRST,
    RATE_MAX,
    RATE_MIN,
    SLOTS_MAX,
    CallBudget,
    CallQueue,
    Priority,
    choose,
)

POLL, SCAN, BACKFILL = Priority.POLL, Priority.SCAN, Priority.BACKFILL


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
    made = CallQueue(asyncio.get_running_loop())
    made._budget.rate = 1e6  # the pace is test_budget's
    return made


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


@pytest.mark.parametrize(
    ("waiting", "running", "polls_in_a_row", "chosen"),
    [
        ({BACKFILL, SCAN, POLL}, 0, 0, POLL),
        ({BACKFILL, SCAN}, 0, 0, SCAN),
        ({BACKFILL}, 0, 0, BACKFILL),
        (set(), 0, 0, None),
        ({BACKFILL, SCAN, POLL}, 0, POLLS_IN_A_ROW_MAX, SCAN),
        ({POLL}, 0, POLLS_IN_A_ROW_MAX, POLL),
        ({BACKFILL, SCAN, POLL}, SLOTS_MAX - POLL_SLOTS, POLLS_IN_A_ROW_MAX, POLL),
        ({BACKFILL, SCAN}, SLOTS_MAX - POLL_SLOTS, 0, None),
        ({POLL}, SLOTS_MAX, 0, None),
    ],
)
def test_which_priority_goes_next(
    waiting: set[Priority], running: int, polls_in_a_row: int, chosen: Priority | None
) -> None:
    assert choose(waiting, running, polls_in_a_row) is chosen


async def test_a_call_given_up_while_it_waits_is_never_made(queue: CallQueue) -> None:
    queue._budget.rate = 1e-9
    queue._budget._tokens = 0.0
    waiting = asyncio.create_task(queue.call(lambda: 1, POLL))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    queue._budget._tokens = 5.0
    queue._start_waiting()
    assert queue._budget._tokens >= 5.0
    assert queue._running == 0


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


async def test_the_pace_is_kept(queue: CallQueue) -> None:
    queue._budget.rate = 100.0
    queue._budget._tokens = 1.0
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(queue.call(lambda: None, SCAN) for _ in range(6)))
    assert loop.time() - began >= 0.045  # five more at 10 ms each; never sooner


def take_all(budget: CallBudget, now_ms: float) -> int:
    taken = 0
    while budget.wait_ms(now_ms) == 0:
        budget.spend(now_ms)
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
    budget.record_throttling(0)
    assert budget.rate == RATE_FIRST / 2
    assert take_all(budget, 0) == 0
    assert budget.wait_ms(0) == 1000 / budget.rate


def test_calls_throttled_together_count_once() -> None:
    budget = CallBudget(0)
    for now_ms in (0, 1, 999):
        budget.record_throttling(now_ms)
    assert budget.rate == RATE_FIRST / 2
    budget.record_throttling(1000)
    assert budget.rate == RATE_FIRST / 4


def test_the_rate_stays_within_its_bounds() -> None:
    budget = CallBudget(0)
    for second in range(100):
        budget.record_throttling(second * 1000)
    assert budget.rate == RATE_MIN
    for _ in range(10_000):
        budget.record_success()
    assert budget.rate == RATE_MAX


def test_a_clock_that_goes_back_gives_nothing() -> None:
    budget = CallBudget(1000)
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
