"""What the terminal and the machine say about themselves: glyphs, colours, time zone.

How the screen ends on a signal, even where its terminal is gone and drawing blocks for ever.

Textual's writer thread dies of the first write to a terminal that is gone; the queue before it
fills up, and the next frame waits there for good. An event loop's signal handler would never
run then. Nor need a plain one: Python runs it in the main thread, which nothing wakes where the
system gave the signal to another thread. So a thread of its own reads the wakeup descriptor.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from types import FrameType
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from common.errors import exit_code_of_signal
from common.signals import ENDING_SIGNALS

_COLLECTIONS: Final = (5_000, 50, 20)
"""New objects before the youngest are gone over, which takes half a millisecond; and so on."""

_PLAIN_TERMINALS: Final = frozenset({"linux", "dumb", "vt100", "vt102", "vt220"})
_PLAIN_LOCALES: Final = frozenset({"C", "POSIX"})
_LIGHT_GROUNDS: Final = frozenset({"7", "15"})


def calm_collector() -> None:
    """Look for garbage less often, and never again among what is there now.

    A collector that goes over a large heap is the longest stall that a viewer has (77 ms in the
    prototype); what the viewer drops is freed by reference counts anyway.
    """
    gc.collect()
    gc.freeze()
    gc.enable()  # whoever began with a picture of its own has put it off until now
    gc.set_threshold(*_COLLECTIONS)


def is_ascii_only(environ: Mapping[str, str] = os.environ, encoding: str | None = None) -> bool:
    """Whether the terminal can draw no more than ASCII."""
    written = encoding or sys.stdout.encoding or "ascii"
    # Python writes UTF-8 in the C locale, too (PEP 540), but who names it means it.
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG")
    is_plain = locale in _PLAIN_LOCALES or environ.get("TERM", "") in _PLAIN_TERMINALS
    return is_plain or "utf" not in written.lower()


def is_light(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal has a light ground, as ``COLORFGBG`` tells (rxvt, Konsole, iTerm2)."""
    return environ.get("COLORFGBG", "").rpartition(";")[2] in _LIGHT_GROUNDS


def local_zone(environ: Mapping[str, str] = os.environ) -> tzinfo:
    """The machine's time zone, with its changes over the year where its name can be found."""
    name = environ.get("TZ", "").lstrip(":")
    if not name:
        place = str(Path("/etc/localtime").resolve())
        name = place.partition("/zoneinfo/")[2]
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return datetime.now(UTC).astimezone().tzinfo or UTC


END_S: Final = 3.0
"""How long an orderly end may take before the process ends at once."""

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
        self._pipe: tuple[int, int] | None = None
        self._wakeup_before = -1
        self._watcher: threading.Thread | None = None
        # Reentrant: the handler may interrupt the main thread wherever it is.
        self._catching = threading.RLock()
        self._told: set[int] = set()

    def watch(self) -> None:
        """Take over; from the main thread."""
        self._pipe = _, told = os.pipe()
        os.set_blocking(told, False)  # as set_wakeup_fd asks for
        self._watcher = threading.Thread(target=self._read, name="ending", daemon=True)
        self._watcher.start()
        self._wakeup_before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        for number in ENDING_SIGNALS:
            self._before[number] = signal.signal(number, self._handle)
        threading.excepthook = self._thread_died

    def forget(self) -> None:
        """Give back what was taken over; from the main thread."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
        threading.excepthook = self._excepthook
        if self._pipe is None or self._watcher is None:
            return
        signal.set_wakeup_fd(self._wakeup_before)
        reading, told = self._pipe
        os.close(told)
        self._watcher.join()
        os.close(reading)
        self._pipe = self._watcher = None

    def _read(self) -> None:
        """Until the other end is closed; signals of others are passed on to who read before."""
        reading = self._pipe[0] if self._pipe else -1
        while numbers := os.read(reading, 64):
            for number in numbers:
                if number in ENDING_SIGNALS:
                    self._caught(number)
                elif self._wakeup_before >= 0:
                    os.write(self._wakeup_before, bytes([number]))

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """In the main thread: should somebody else have become the reader meanwhile."""
        del frame
        self._caught(number)

    def _caught(self, number: int) -> None:
        with self._catching:
            if number in self._told:
                return
            self._told.add(number)
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
    os._exit(exit_code_of_signal(number))
