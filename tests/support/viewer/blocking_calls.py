"""Waits for the threads of blocking calls, which may outlive what has started them."""

from __future__ import annotations

import threading

from common.concurrency import BLOCKING_CALL
from tests.support.viewer.scripted_forwarder import eventually


class BlockingCalls:
    """The calls that begin from now on.

    A cancelled write still has its thread. If a test closed the descriptor first, that thread would
    write to the file that gets the same number next.
    """

    def __init__(self) -> None:
        self._before = set(threading.enumerate())

    async def wait_end(self) -> None:
        """Wait until all have ended."""
        await eventually(lambda: not any(map(self._is_ours, threading.enumerate())))

    def _is_ours(self, thread: threading.Thread) -> bool:
        return thread.name == BLOCKING_CALL and thread not in self._before
