"""Blocking calls beside the event loop.

Waiting for an event, but not for ever.

Work that may be called off before it has begun, without a word. Pure.

How long to wait before connecting again. Pure.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar


class Backoff:
    """Exponential backoff with jitter: between half and all of ``first_ms * 2**failures``."""

    def __init__(self, first_ms: int, max_ms: int, random: Callable[[], float]) -> None:
        """No failure yet; ``random`` gives numbers from 0 to 1."""
        self._first_ms = first_ms
        self._max_ms = max_ms
        self._random = random
        self.failures = 0
        """Failures in a row."""

    def failed(self) -> int:
        """One more failure; how many ms to wait."""
        # 2**20 ms is a quarter of an hour: more doublings would only make the number large.
        ceiling = min(self._max_ms, self._first_ms << min(self.failures, 20))
        self.failures += 1
        return int(ceiling * (0.5 + self._random() / 2))

    def succeeded(self) -> None:
        """The next failure is the first again."""
        self.failures = 0


_T = TypeVar("_T")


async def in_thread(function: Callable[[], _T]) -> _T:
    """Run a blocking function in a daemon thread, which nobody joins when the process ends."""
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
            if not answer.done():
                settle()

        # The loop may be closed by now: then nobody waits for the answer either.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver)

    threading.Thread(target=run, name="sdk", daemon=True).start()
    return await answer


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set (it is cleared then) or the time is over."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
    event.clear()


class Work:
    """A coroutine function to be awaited once, or never.

    Python warns of a coroutine that nobody ever awaited; of keys that come fast, the second
    calls off what the first has asked for before it begins. There is no coroutine before then.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Nothing has begun."""
        self._work = work

    def __await__(self) -> Generator[Any, Any, None]:
        """Do it."""
        return self._work().__await__()


FIRST_MS: Final = 250
"""Upper end of the first wait: most disconnections are over at once."""

LONGEST_MS: Final = 15_000
"""Upper end of every later wait: what a forwarder's restart may take at most to be noticed."""

LIVE_RESET_MS: Final = 10_000
"""A connection that was live for so long begins the waits anew."""


def backoff(rng: random.Random) -> Iterator[int]:
    """Waits in ms, for ever: doubling, each between the half and the whole of its step.

    The jitter keeps a crowd that was cut off at once from coming back at once.
    """
    step = FIRST_MS
    while True:
        yield rng.randint(step // 2, step)
        step = min(step * 2, LONGEST_MS)
