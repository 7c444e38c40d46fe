"""A file that says whether anybody still needs a process.

Whoever needs others holds a shared ``flock`` on a file; whoever is needed waits for the
exclusive one. The kernel lets go of a lock when its holder ends, however it ends, so nothing
outlives its user, not even after SIGKILL.

The waiter keeps the exclusive lock until it is gone and takes the file away last. A newcomer
that found the file in that time waits for the lock, sees that the file is no longer the one by
that name, and starts over: it never relies on a process that is about to end.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

END_WITHIN_S: Final = 15.0
"""Longest that an orderly end may take before a process that nobody needs is cut off."""

_MODE: Final = 0o600


class Held:
    """A shared lock on a file, until ``release`` or the process's end."""

    def __init__(self, path: Path, descriptor: int, *, remove: bool) -> None:
        """Made by ``hold``."""
        self.path = path
        self._descriptor = descriptor
        self._remove = remove
        self._released = False

    def release(self) -> None:
        """Let go; the file goes too where it was one's own. More than once is harmless."""
        if self._released:
            return
        self._released = True
        if self._remove:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        """Until the end of the ``with`` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go."""
        self.release()


def hold(path: Path, *, remove: bool = False) -> Held:
    """Hold a shared lock on a file, which is made where it is missing.

    Waits while a process that nobody needed any more is still ending. ``remove``: the file is
    the caller's alone and goes with its release.
    """
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if is_still_at(path, descriptor):
                return Held(path, descriptor, remove=remove)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def end_when_released(path: Path, end_within_s: float = END_WITHIN_S) -> None:
    """End this process, as SIGTERM would, once nobody holds ``path`` (or it is gone).

    Returns at once; a daemon thread waits. What has not ended ``end_within_s`` after that is
    cut off with exit code 1.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        os.kill(os.getpid(), signal.SIGTERM)
        return
    watch = threading.Thread(
        target=_wait_and_end, args=(path, descriptor, end_within_s), name="lifeline", daemon=True
    )
    watch.start()


def _wait_and_end(path: Path, descriptor: int, end_within_s: float) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    atexit.register(_remove, path, descriptor)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(end_within_s)
    os._exit(1)


def _remove(path: Path, descriptor: int) -> None:
    if is_still_at(path, descriptor):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def remove_if_free(path: Path, is_needed: Callable[[], bool] | None = None) -> None:
    """Take a file away that nobody holds any more; harmless where it is gone.

    ``is_needed`` is asked while nobody else can hold it, and may say that it has to stay.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_needed is None or not is_needed():
            _remove(path, descriptor)
    except BlockingIOError:
        pass  # it is needed still
    finally:
        os.close(descriptor)


def is_still_at(path: Path, descriptor: int) -> bool:
    """Whether the open file is still the one that stands under this name."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))
