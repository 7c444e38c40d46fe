"""How the screen ends on a signal, even where its terminal is gone and drawing blocks for ever.

Textual's writer thread dies of the first write to a terminal that is gone; the queue before it
fills up, and the next frame waits there for good. An event loop's signal handler would never
run then. A plain one does: Python runs it while the main thread waits for a lock.
"""

from __future__ import annotations

import os
import signal
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

END_S: Final = 3.0
"""How long an orderly end may take before the process ends at once."""

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_WRITER: Final = "textual-output"
"""The name of Textual's writer thread; a test shows that it still is."""


class Ending:
    """The signals that end the screen, from ``watch`` to ``forget``."""

    def __init__(self, loop: AbstractEventLoop, end: Callable[[int], None]) -> None:
        """Call ``end`` in ``loop`` with the number of the signal."""
        self._loop = loop
        self._end = end
        self._before: dict[int, Any] = {}
        self._excepthook = threading.excepthook

    def watch(self) -> None:
        """Take over; from the main thread."""
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._caught)
        threading.excepthook = self._thread_died

    def forget(self) -> None:
        """Give back what was taken over."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
        threading.excepthook = self._excepthook

    def _caught(self, number: int, frame: FrameType | None) -> None:
        del frame
        deadline = threading.Timer(END_S, _end_at_once, (number,))
        deadline.daemon = True
        deadline.start()
        self._loop.call_soon_threadsafe(self._end, number)

    def _thread_died(self, died: threading.ExceptHookArgs) -> None:
        name = "" if died.thread is None else died.thread.name
        if name == _WRITER and isinstance(died.exc_value, OSError):
            os.kill(os.getpid(), signal.SIGHUP)  # the terminal is gone, whoever else was told
            return
        self._excepthook(died)


def _end_at_once(number: int) -> None:
    """Nothing is lost: what must outlive the screen is on disk, and the parts end by themselves."""
    os._exit(128 + number)
