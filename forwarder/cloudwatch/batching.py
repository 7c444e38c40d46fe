"""Answers requests for single things together: those that come while a call runs share the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Generic, TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Batches(Generic[_Key, _Value]):
    """Requests by key, answered in batches; belongs to one event loop at a time."""

    def __init__(self) -> None:
        """Start without requests."""
        self._waiting: dict[_Key, asyncio.Future[_Value | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def ask(
        self,
        key: _Key,
        answer: Callable[[Collection[_Key]], Awaitable[Mapping[_Key, _Value]]],
    ) -> _Value | None:
        """Return the value of a key, None without one; the answer is no older than the request.

        Args:
            key: What is asked for.
            answer: Answers a batch; its exception is raised in every request of the batch.
        """
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
            # A requester that has left must not make an error one that nobody retrieved.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
        if self._task is None:
            self._task = asyncio.create_task(self._run(answer))
        return await asyncio.shield(future)

    async def _run(
        self, answer: Callable[[Collection[_Key]], Awaitable[Mapping[_Key, _Value]]]
    ) -> None:
        batch: dict[_Key, asyncio.Future[_Value | None]] = {}
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, {}
                try:
                    found = await answer(batch.keys())
                except Exception as error:  # noqa: BLE001 - raised where it is awaited
                    for future in batch.values():
                        future.set_exception(error)
                else:
                    for key, future in batch.items():
                        future.set_result(found.get(key))
        finally:
            self._task = None
            for future in (*batch.values(), *self._waiting.values()):
                future.cancel()  # does nothing where there is a result
            self._waiting = {}
