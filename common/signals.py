"""Signals that end a command, and coroutines that run until one arrives."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Final, TypeVar

from common.errors import EndedBySignalError

ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_Result = TypeVar("_Result")


def active_ending_signals() -> tuple[signal.Signals, ...]:
    """The signals that end this command: all but a hangup that ``nohup`` told it to ignore."""
    ignores_hangup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(one for one in ENDING_SIGNALS if not (ignores_hangup and one is signal.SIGHUP))


@contextlib.contextmanager
def handle_ending_signals(handle: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call ``handle`` in the running event loop for each ending signal, within the block."""
    loop = asyncio.get_running_loop()
    numbers = active_ending_signals()
    for number in numbers:
        loop.add_signal_handler(number, handle, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def run_until_signal(work: Coroutine[object, object, _Result]) -> _Result:
    """Run a coroutine as ``asyncio.run`` does, and cancel it when a signal asks to end.

    An exception raised by a Python signal handler would end whichever task or callback happens
    to run, and the loop would go on: the signal would be lost. The loop's own handler also works
    when the system delivers the signal to another thread.

    Raises:
        EndedBySignalError: a signal arrived, unless the coroutine handles signals itself.
    """
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)
    before = {number: signal.getsignal(number) for number in active_ending_signals()}
    received: list[signal.Signals] = []

    async def cancel_on_signal() -> _Result:
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"

        def end(number: signal.Signals) -> None:
            received.append(number)
            task.cancel()

        try:
            with handle_ending_signals(end):
                return await work
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    try:
        return asyncio.run(cancel_on_signal())
    except asyncio.CancelledError:
        if not received:
            raise
        raise EndedBySignalError(received[0]) from None
