"""``asyncio.run`` for commands: a signal to end reaches them wherever the loop is at work."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from common.errors import EndedBySignalError

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Result = TypeVar("Result")


def heard() -> tuple[signal.Signals, ...]:
    """The signals that end a command: a hangup does not where it was started with ``nohup``."""
    is_deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(one for one in ENDING if not (is_deaf and one is signal.SIGHUP))


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run it to its end, or until a signal asks the command to end; then it is cancelled.

    An exception that a signal's handler raises would end whatever task or callback happens to
    run, and the loop would go on: the signal would be lost. A loop's own handler is also called
    where the system gives the signal to another thread than the one that waits.

    Raises:
        EndedBySignalError: by a signal, if nobody else has taken charge of it meanwhile.

    """
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)
    before = {number: signal.getsignal(number) for number in heard()}
    caught: list[int] = []

    async def until_signalled() -> Result:
        task = asyncio.current_task()
        assert task is not None, "this is a coroutine of a task"
        loop = asyncio.get_running_loop()

        def end(number: int) -> None:
            caught.append(number)
            task.cancel()

        for number in before:
            loop.add_signal_handler(number, end, number)
        try:
            return await work
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    try:
        return asyncio.run(until_signalled())
    except asyncio.CancelledError:
        if not caught:
            raise
        raise EndedBySignalError(caught[0]) from None
