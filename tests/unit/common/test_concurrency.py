"""tests.unit.common.test_concurrency."""

from __future__ import annotations

import asyncio
import gc
import random
import warnings
from functools import partial
from itertools import islice

from common.concurrency import FIRST_MS, LONGEST_MS, Work, backoff
from tests.support.fake_engine import FakeEngine, make_line
from tests.support.screen import running


async def test_work_is_done_or_called_off_without_a_word() -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await Work(partial(work, 1))
        Work(partial(work, 2))
        gc.collect()
    assert done == [1]


async def test_filters_that_follow_each_other_fast_leave_no_word() -> None:
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


def test_waits_double_up_to_their_bound_with_jitter() -> None:
    for seed in range(50):
        step = FIRST_MS
        for wait in islice(backoff(random.Random(seed)), 12):
            assert step // 2 <= wait <= step
            step = min(2 * step, LONGEST_MS)
        assert step == LONGEST_MS


def test_a_crowd_does_not_come_back_at_once() -> None:
    waits = {next(islice(backoff(random.Random(seed)), 5, None)) for seed in range(200)}
    assert len(waits) > 150
