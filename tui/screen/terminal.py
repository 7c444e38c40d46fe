"""What the viewer asks of its terminal and machine: glyphs, background, exit signals."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from common.errors import exit_code_of_signal
from common.signals import ENDING_SIGNALS, run_until_signal

_Result = TypeVar("_Result")

_GC_THRESHOLDS: Final = (5_000, 50, 20)
"""New objects before the youngest generation is collected, which takes half a millisecond; then
collections of one generation before the next older one is."""

_PLAIN_TERMINALS: Final = frozenset({"linux", "dumb", "vt100", "vt102", "vt220"})
_PLAIN_LOCALES: Final = frozenset({"C", "POSIX"})
_LIGHT_BACKGROUNDS: Final = frozenset({"7", "15"})


def calm_collector() -> None:
    """Make the garbage collector run less often, and skip the objects that exist now.

    A full collection of a large heap is the longest stall that a viewer has (77 ms in the
    prototype); reference counts free what the viewer drops anyway.
    """
    gc.collect()
    gc.freeze()
    gc.enable()  # the command line keeps it disabled until the first picture
    gc.set_threshold(*_GC_THRESHOLDS)


def is_ascii_only(environ: Mapping[str, str] = os.environ, encoding: str | None = None) -> bool:
    """Whether the terminal can draw no more than ASCII."""
    written = encoding or sys.stdout.encoding or "ascii"
    # In the C locale Python writes UTF-8 (PEP 540), but a user who sets that locale means ASCII.
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG")
    is_plain = locale in _PLAIN_LOCALES or environ.get("TERM", "") in _PLAIN_TERMINALS
    return is_plain or "utf" not in written.lower()


def is_light(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether ``COLORFGBG`` (rxvt, Konsole, iTerm2) names a light background."""
    return environ.get("COLORFGBG", "").rpartition(";")[2] in _LIGHT_BACKGROUNDS


END_S: Final = 3.0
"""Time for an orderly exit after a signal; then the process ends at once."""

_WRITER: Final = "textual-output"
"""Name of Textual's writer thread; a test shows that it still is."""


class TerminationSignals:
    """Ends the screen on a signal, even if its terminal is gone and drawing blocks for ever.

    Textual's writer thread dies of its first write to a terminal that is gone; its queue fills up,
    and the next frame waits there for good. The event loop would never run a signal handler then.
    Nor would a plain handler run: Python runs it in the main thread, which nothing wakes if the
    system gave the signal to another thread. So a thread reads the wakeup descriptor instead, and
    ``end`` is called in the loop with the signal's number.
    """

    def __init__(self, loop: AbstractEventLoop, end: Callable[[int], None]) -> None:
        self._loop = loop
        self._end = end
        self._before: dict[int, Any] = {}
        self._pipe: tuple[int, int] | None = None
        self._wakeup_before = -1
        self._watcher: threading.Thread | None = None
        # Reentrant: the handler may interrupt the main thread wherever it is.
        self._lock = threading.RLock()
        self._received: set[int] = set()

    def install(self) -> None:
        """Take over the signals; call it in the main thread."""
        self._pipe = _, written = os.pipe()
        os.set_blocking(written, False)  # as set_wakeup_fd asks for
        self._watcher = threading.Thread(target=self._read_wakeups, name="ending", daemon=True)
        self._watcher.start()
        self._wakeup_before = signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        for number in ENDING_SIGNALS:
            # Also acts on the signal should the wakeup descriptor have been replaced.
            self._before[number] = signal.signal(
                number, lambda number, _frame: self._receive(number)
            )

    def restore(self) -> None:
        """Restore the previous handlers; call it in the main thread."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
        if self._pipe is None or self._watcher is None:
            return
        signal.set_wakeup_fd(self._wakeup_before)
        read, written = self._pipe
        os.close(written)
        self._watcher.join()
        os.close(read)
        self._pipe = self._watcher = None

    def _read_wakeups(self) -> None:
        """Act on our signals, and forward others to the previous descriptor, until closed."""
        read = self._pipe[0] if self._pipe else -1
        while numbers := os.read(read, 64):
            for number in numbers:
                if number in ENDING_SIGNALS:
                    self._receive(number)
                elif self._wakeup_before >= 0:
                    os.write(self._wakeup_before, bytes([number]))

    def _receive(self, number: int) -> None:
        with self._lock:
            if number in self._received:
                return
            self._received.add(number)
        _set_deadline(number)
        self._loop.call_soon_threadsafe(self._end, number)


def run_screen(work: Coroutine[object, object, _Result]) -> _Result:
    """Run a screen as ``run_until_signal`` does, and end even if its terminal is gone.

    Raises:
        EndedBySignalError: a signal arrived.
    """
    with hangup_with_terminal():
        return run_until_signal(work)


@contextmanager
def hangup_with_terminal() -> Iterator[None]:
    """Within the block, a terminal that is gone is a hangup, with or without a signal of its own.

    It has a deadline even where ``TerminationSignals`` is not installed: a terminal can close while
    the screen starts or ends, for example while job control has stopped the process.
    """
    before = threading.excepthook

    def act(died: threading.ExceptHookArgs) -> None:
        name = "" if died.thread is None else died.thread.name
        if name != _WRITER or not isinstance(died.exc_value, OSError):
            before(died)
            return
        _set_deadline(signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)

    threading.excepthook = act
    try:
        yield
    finally:
        threading.excepthook = before


def _set_deadline(number: int) -> None:
    deadline = threading.Timer(END_S, _end_at_once, (number,))
    deadline.daemon = True
    deadline.start()


def _end_at_once(number: int) -> None:
    """End without cleaning up: cursors are on disk, and child processes notice by themselves."""
    os._exit(exit_code_of_signal(number))
