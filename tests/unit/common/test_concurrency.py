from __future__ import annotations

import asyncio
import gc
import random
import subprocess
import sys
import threading
import warnings
from functools import partial
from itertools import repeat

import pytest

from common.concurrency import Backoff, DeferredCall, in_thread
from tests.support.fake_engine import FakeEngine, make_line
from tests.support.screen import running


async def test_a_deferred_call_may_be_dropped() -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await DeferredCall(partial(work, 1))
        DeferredCall(partial(work, 2))
        gc.collect()
    assert done == [1]


async def test_filters_in_quick_succession_cause_no_warning() -> None:
    engine = FakeEngine()
    engine.add(make_line(number, f"INFO {number}") for number in range(50))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        async with running(engine) as screen:
            for number in (2, 3, 4, 1):
                screen.app.action_level(number)
            await screen.press("g")
            assert "INFO 0" in screen.text
        gc.collect()
    assert [one for one in warned if "never awaited" in str(one.message)] == []


FIRST_MS, MAX_MS = 250, 15_000


def waits(seed: int, count: int) -> list[int]:
    backoff = Backoff(FIRST_MS, MAX_MS, random.Random(seed).random)
    return [backoff.count_failure() for _ in repeat(None, count)]


def test_waits_double_up_to_their_bound_with_jitter() -> None:
    for seed in range(50):
        step = FIRST_MS
        for wait in waits(seed, 12):
            assert step // 2 <= wait <= step
            step = min(2 * step, MAX_MS)
        assert step == MAX_MS


def test_clients_disconnected_together_do_not_reconnect_together() -> None:
    assert len({waits(seed, 6)[-1] for seed in range(200)}) > 150


def test_after_a_success_the_waits_start_again() -> None:
    backoff = Backoff(FIRST_MS, MAX_MS, lambda: 1.0)
    assert [backoff.count_failure(), backoff.count_failure()] == [250, 500]
    backoff.reset()
    assert backoff.count_failure() == 250


async def test_finished_is_called_even_if_the_call_was_cancelled() -> None:
    may_end, finished = threading.Event(), asyncio.Event()
    call = asyncio.create_task(in_thread(may_end.wait, finished=finished.set))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert not finished.is_set()
    may_end.set()
    async with asyncio.timeout(240):
        await finished.wait()


async def test_in_thread_returns_the_result_and_raises_the_error() -> None:
    assert await in_thread(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


async def test_the_thread_does_not_keep_the_process_alive() -> None:
    assert await in_thread(lambda: threading.current_thread().daemon)


async def test_the_result_of_a_cancelled_call_is_dropped() -> None:
    may_go = threading.Event()
    task = asyncio.create_task(in_thread(may_go.wait))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    may_go.set()
    await in_thread(lambda: None)


LEFT_RUNNING = """
import asyncio, sys
from common.concurrency import in_thread
from common.patterns import compile_pattern

pattern, text = compile_pattern("(a+)+b"), "a" * (1 << 20)

async def main():
    def match():
        loop.call_soon_threadsafe(started.set)
        for _ in range(40):
            pattern.matches(text)
        print("ended", flush=True)
    loop, started = asyncio.get_running_loop(), asyncio.Event()
    call = asyncio.create_task(in_thread(match, is_bounded=True))
    await started.wait()
    call.cancel()

asyncio.run(main())
"""


def test_a_process_that_ends_while_a_pattern_is_matched_ends_in_order() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LEFT_RUNNING], capture_output=True, check=False, timeout=240
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"ended\n", b"")
