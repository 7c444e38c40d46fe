from __future__ import annotations

import asyncio
import os
import signal
import threading
from queue import Queue

import pytest
from textual.drivers._writer_thread import WriterThread

from tui.screen import ending
from tui.screen.ending import Ending


class GoneTerminal:
    """A file that fails as a terminal does that is gone."""

    def write(self, _: str) -> int:
        raise OSError(5, "Input/output error")

    def flush(self) -> None:
        """Nothing to do."""


@pytest.fixture(autouse=True)
def forced(monkeypatch: pytest.MonkeyPatch) -> Queue[int]:
    """Instead of ending this process at once; a deadline may pass after its test is over."""
    queue: Queue[int] = Queue()
    monkeypatch.setattr(ending, "_end_at_once", queue.put)
    return queue


@pytest.mark.parametrize("number", ending.SIGNALS)
async def test_a_signal_ends_in_the_loop(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    told: asyncio.Queue[int] = asyncio.Queue()
    watching = Ending(asyncio.get_running_loop(), told.put_nowait)
    watching.watch()
    try:
        os.kill(os.getpid(), number)
        assert await told.get() == number
    finally:
        watching.forget()
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", ending.SIGNALS)
async def test_a_signal_that_the_system_gives_to_another_thread_ends_as_well(
    number: signal.Signals,
) -> None:
    told: asyncio.Queue[int] = asyncio.Queue()
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()  # before the mask: it takes the signal that the main thread does not
    watching = Ending(asyncio.get_running_loop(), told.put_nowait)
    watching.watch()
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        os.kill(os.getpid(), number)
        assert await told.get() == number
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        over.set()
        other.join()
        watching.forget()


async def test_signals_of_the_loop_still_reach_it() -> None:
    """The loop's own handlers are told by the descriptor that was taken over."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, asked.set)
    watching = Ending(loop, lambda _: None)
    watching.watch()
    try:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGUSR1)
            await asked.wait()
            asked.clear()
    finally:
        watching.forget()
        loop.remove_signal_handler(signal.SIGUSR1)


async def test_a_signal_ends_also_where_the_loop_reads_the_descriptor_again() -> None:
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[int] = asyncio.Queue()
    watching = Ending(loop, told.put_nowait)
    watching.watch()
    loop.add_signal_handler(signal.SIGUSR1, lambda: None)
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        assert await told.get() == signal.SIGTERM
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
        watching.forget()


async def test_a_signal_is_caught_while_the_main_thread_waits_for_a_lock(
    monkeypatch: pytest.MonkeyPatch, forced: Queue[int]
) -> None:
    monkeypatch.setattr(ending, "END_S", 0.01)
    watching = Ending(asyncio.get_running_loop(), lambda _: None)
    watching.watch()
    try:
        threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGHUP)).start()
        # The main thread, and with it the loop, is blocked here.
        assert forced.get(timeout=240) == signal.SIGHUP
    finally:
        watching.forget()


async def test_textual_s_writer_dying_of_its_terminal_is_a_hangup() -> None:
    told: asyncio.Queue[int] = asyncio.Queue()
    watching = Ending(asyncio.get_running_loop(), told.put_nowait)
    watching.watch()
    try:
        writer = WriterThread(GoneTerminal())  # type: ignore[arg-type]  # all it uses of a file
        writer.start()
        writer.write("a frame")
        assert await told.get() == signal.SIGHUP
        writer.join()
    finally:
        watching.forget()
