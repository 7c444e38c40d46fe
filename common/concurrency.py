"""Blocking calls beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

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
