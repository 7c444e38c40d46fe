from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import NoReturn

import pytest

from common.errors import EndedBySignalError
from common.signals import ENDING_SIGNALS, active_ending_signals, run_until_signal
from tests.support.processes.gapless_processes import WAIT_S


async def hurt(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_a_signal_during_another_task_is_not_lost(number: int) -> None:
    before = signal.getsignal(number)
    is_over = False

    async def work() -> None:
        nonlocal is_over
        other = asyncio.create_task(hurt(number))
        try:
            await asyncio.Event().wait()
        finally:
            await other
            is_over = True

    with pytest.raises(EndedBySignalError) as ended:
        run_until_signal(work())
    assert ended.value.exit_code == 128 + number
    assert is_over
    assert signal.getsignal(number) is before


def test_a_signal_delivered_to_another_thread_is_handled() -> None:
    async def work() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    try:
        with pytest.raises(EndedBySignalError):
            run_until_signal(work())
    finally:
        over.set()
        other.join()


def test_an_end_that_is_raised_in_a_callback_ends_the_loop() -> None:
    def end(number: int, frame: object) -> NoReturn:
        del frame
        raise EndedBySignalError(number)

    async def work() -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(WAIT_S):
            await asyncio.Event().wait()

    before = signal.signal(signal.SIGTERM, end)
    try:
        with pytest.raises(EndedBySignalError):
            asyncio.run(work())
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_hangup_is_ignored_under_nohup() -> None:
    async def work() -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
        return 7

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run_until_signal(work()) == 7
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.SIGHUP not in active_ending_signals()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.SIGHUP in active_ending_signals()


def test_the_result_of_the_coroutine_is_returned() -> None:
    async def seven() -> int:
        return 7

    async def cancelled() -> None:
        raise asyncio.CancelledError

    assert run_until_signal(seven()) == 7
    with pytest.raises(asyncio.CancelledError):
        run_until_signal(cancelled())
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(run_until_signal(seven())))
    thread.start()
    thread.join()
    assert found == [7]
