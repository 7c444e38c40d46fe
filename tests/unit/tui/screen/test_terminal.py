from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from queue import Queue

import pytest
from textual.drivers._writer_thread import WriterThread

from common.errors import EndedBySignalError
from common.signals import ENDING_SIGNALS
from tui.screen import terminal
from tui.screen.terminal import TerminationSignals


def test_glyphs() -> None:
    assert not terminal.is_ascii_only({"TERM": "xterm-256color"}, "utf-8")
    assert terminal.is_ascii_only({"TERM": "xterm-256color"}, "iso-8859-1")
    assert terminal.is_ascii_only({"TERM": "linux"}, "utf-8")
    assert terminal.is_ascii_only({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, "utf-8")
    assert terminal.is_ascii_only({"LANG": "POSIX"}, "utf-8")
    assert not terminal.is_ascii_only({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, "utf-8")


@pytest.mark.parametrize(
    ("value", "light"), [("0;15", True), ("0;default;15", True), ("15;0", False), ("", False)]
)
def test_light_backgrounds(value: str, light: bool) -> None:  # noqa: FBT001 - what is expected
    assert terminal.is_light({"COLORFGBG": value}) is light


def test_the_garbage_collector_runs_less_often() -> None:
    before = gc.get_threshold()
    try:
        gc.disable()
        terminal.calm_collector()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() > before
    finally:
        gc.enable()
        gc.unfreeze()
        gc.set_threshold(*before)


class GoneTerminal:
    """A file that fails as a vanished terminal does."""

    def write(self, _: str) -> int:
        raise OSError(5, "Input/output error")

    def flush(self) -> None:
        """Do nothing."""


@pytest.fixture(autouse=True)
def forced(monkeypatch: pytest.MonkeyPatch) -> Queue[int]:
    """Replaces the immediate exit; a deadline may pass after its test is over."""
    queue: Queue[int] = Queue()
    monkeypatch.setattr(terminal, "_end_at_once", queue.put)
    return queue


@pytest.mark.parametrize("number", ENDING_SIGNALS)
async def test_a_signal_ends_in_the_loop(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    received: asyncio.Queue[int] = asyncio.Queue()
    signals = TerminationSignals(asyncio.get_running_loop(), received.put_nowait)
    signals.install()
    try:
        os.kill(os.getpid(), number)
        assert await received.get() == number
    finally:
        signals.restore()
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", ENDING_SIGNALS)
async def test_a_signal_that_the_system_gives_to_another_thread_ends_as_well(
    number: signal.Signals,
) -> None:
    received: asyncio.Queue[int] = asyncio.Queue()
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()  # before the mask: it takes the signal that the main thread does not
    signals = TerminationSignals(asyncio.get_running_loop(), received.put_nowait)
    signals.install()
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        os.kill(os.getpid(), number)
        assert await received.get() == number
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        over.set()
        other.join()
        signals.restore()


async def test_signals_of_the_loop_still_reach_it() -> None:
    """The loop's own handlers depend on the descriptor that was taken over."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, asked.set)
    signals = TerminationSignals(loop, lambda _: None)
    signals.install()
    try:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGUSR1)
            await asked.wait()
            asked.clear()
    finally:
        signals.restore()
        loop.remove_signal_handler(signal.SIGUSR1)


async def test_a_signal_ends_also_where_the_loop_reads_the_descriptor_again() -> None:
    loop = asyncio.get_running_loop()
    received: asyncio.Queue[int] = asyncio.Queue()
    signals = TerminationSignals(loop, received.put_nowait)
    signals.install()
    loop.add_signal_handler(signal.SIGUSR1, lambda: None)
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        assert await received.get() == signal.SIGTERM
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
        signals.restore()


async def test_a_signal_is_caught_while_the_main_thread_waits_for_a_lock(
    monkeypatch: pytest.MonkeyPatch, forced: Queue[int]
) -> None:
    monkeypatch.setattr(terminal, "END_S", 0.01)
    signals = TerminationSignals(asyncio.get_running_loop(), lambda _: None)
    signals.install()
    try:
        threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGHUP)).start()
        # The main thread, and with it the loop, is blocked here.
        assert forced.get(timeout=240) == signal.SIGHUP
    finally:
        signals.restore()


async def test_textual_s_writer_dying_of_its_terminal_is_a_hangup() -> None:
    received: asyncio.Queue[int] = asyncio.Queue()
    signals = TerminationSignals(asyncio.get_running_loop(), received.put_nowait)
    signals.install()
    try:
        with terminal.hangup_with_terminal():
            writer = WriterThread(GoneTerminal())  # type: ignore[arg-type]  # all it uses of a file
            writer.start()
            writer.write("a frame")
            assert await received.get() == signal.SIGHUP
            writer.join()
    finally:
        signals.restore()


def test_a_terminal_that_is_gone_ends_a_screen_that_can_t_end_by_itself(
    monkeypatch: pytest.MonkeyPatch, forced: Queue[int]
) -> None:
    monkeypatch.setattr(terminal, "END_S", 0.01)

    async def start() -> None:
        writer = WriterThread(GoneTerminal())  # type: ignore[arg-type]  # all it uses of a file
        writer.start()
        writer.write("a frame")
        # The loop is blocked here, as the driver is by the full queue of its writer.
        assert forced.get(timeout=240) == signal.SIGHUP
        await asyncio.Event().wait()

    hook = threading.excepthook
    with pytest.raises(EndedBySignalError):
        terminal.run_screen(start())
    assert threading.excepthook is hook
