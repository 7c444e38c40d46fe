"""Requests that share calls."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from forwarder.cloudwatch.batching import Batches


class Answers:
    """Answers batches, each once it may."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.may_answer = asyncio.Event()

    async def __call__(self, keys: Collection[str]) -> dict[str, int]:
        self.batches.append(sorted(keys))
        await self.may_answer.wait()
        if "bad" in keys:
            raise ValueError
        return {key: len(key) for key in keys if key != "none"}


async def test_requests_that_come_while_a_call_runs_share_the_next() -> None:
    answers, batches = Answers(), Batches[str, int]()
    first = asyncio.create_task(batches.ask("a", answers))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = [asyncio.create_task(batches.ask(key, answers)) for key in ("bb", "none", "bb", "a")]
    await asyncio.sleep(0)
    others.pop(0).cancel()
    answers.may_answer.set()
    assert await first == 1
    assert await asyncio.gather(*others) == [None, 2, 1]
    assert answers.batches == [["a"], ["a", "bb", "none"]]
    assert await batches.ask("later", answers) == 5


async def test_an_error_reaches_each_request_of_its_batch_alone() -> None:
    answers, batches = Answers(), Batches[str, int]()
    answers.may_answer.set()
    bad = asyncio.create_task(batches.ask("bad", answers))
    with pytest.raises(ValueError):  # noqa: PT011 - it has no text
        await bad
    assert await batches.ask("good", answers) == 4
