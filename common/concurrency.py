"""Threads, waits and retries beside an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

BLOCKING_CALL: Final = "blocking call"
"""Name of the threads of ``in_thread``."""


class Backoff:
    """Exponential backoff with jitter: each wait is half to all of ``first_ms * 2**failures``.

    The jitter keeps clients that were disconnected together from reconnecting together. Pure.
    """

    def __init__(self, first_ms: int, max_ms: int, random: Callable[[], float]) -> None:
        """Start without a failure; ``random`` returns numbers from 0 to 1."""
        self._first_ms = first_ms
        self._max_ms = max_ms
        self._random = random
        self.failures = 0
        """Failures in a row."""

    def count_failure(self) -> int:
        """Count one more failure; return how long to wait, in ms."""
        # 2**20 ms is a quarter of an hour: more doublings would only make the number large.
        ceiling = min(self._max_ms, self._first_ms << min(self.failures, 20))
        self.failures += 1
        return int(ceiling * (0.5 + self._random() / 2))

    def reset(self) -> None:
        """Forget the failures: something succeeded."""
        self.failures = 0


async def in_thread(
    function: Callable[[], _T],
    *,
    name: str = BLOCKING_CALL,
    finished: Callable[[], None] | None = None,
    is_bounded: bool = False,
) -> _T:
    """Run a blocking function in a daemon thread of its own; its exception is raised here.

    The threads of an executor are joined when the process ends, so one call that hangs would
    hold up SIGTERM for as long as its timeout; a daemon thread does not. ``finished`` is called in
    the event loop once the function has really ended, also if this coroutine was cancelled before.

    ``is_bounded``: the function ends soon of itself, and the process waits for it. RE2 must not be
    left running: Python ends a daemon thread that returns from C++ so that the process aborts.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_T] = loop.create_future()

    def run() -> None:
        settle: Callable[[], None]
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            settle = partial(answer.set_exception, error)
        else:
            settle = partial(answer.set_result, result)

        def deliver() -> None:
            if finished is not None:
                finished()
            if not answer.done():
                settle()

        # The loop may be closed by now: then nothing waits for the answer either.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver)

    threading.Thread(target=run, name=name, daemon=not is_bounded).start()
    return await answer


async def wait_and_clear(event: asyncio.Event, seconds: float) -> None:
    """Wait until an event is set, then clear it; return after ``seconds`` at the latest."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
    event.clear()


class DeferredCall:
    """An awaitable that calls a coroutine function only when it is awaited.

    A coroutine object that is dropped unawaited makes Python warn; this one may be dropped, as
    when a second key cancels what the first one asked for.
    """

    def __init__(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._function = function

    def __await__(self) -> Generator[Any, Any, None]:
        return self._function().__await__()
