"""A file that says whether anybody still needs a process.

Whoever needs others holds a shared ``flock`` on a file; whoever is needed waits for the
exclusive one. The kernel lets go of a lock when its holder ends, however it ends, so nothing
outlives its user, not even after SIGKILL.

The waiter keeps the exclusive lock until it is gone and takes the file away last. A newcomer
that found the file in that time waits for the lock, sees that the file is no longer the one by
that name, and starts over: it never relies on a process that is about to end.

The lock file beside a journal: one forwarder a journal, and where it is to be found.

The forwarder holds an exclusive ``flock`` on the file for as long as it runs and leaves its
ready line in it. A file that nobody locks is what a killed forwarder left behind.

A lifeline: a file that a parent holds a lock on, and whose release ends the children.

The kernel lets go of the lock with its last holder, however that one ends, SIGKILL included.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from common.errors import GaplessError, SimulatorError

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


_TRIES: Final = 20
_PAUSE_S: Final = 0.05
"""Whoever looks whether a file is locked holds it for a moment; so a taker tries for a second."""

_BYTES_MAX: Final = 65_536


class LockedError(GaplessError):
    """Another forwarder has the journal."""


class LockFile:
    """An exclusive lock, until ``release`` or the process's end."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Made by ``take``."""
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> Self:
        """Lock a file, which is made where it is missing.

        Raises:
            LockedError: another process has it.
            GaplessError: it can't be made or opened.

        """
        pause = threading.Event()
        for _ in range(_TRIES):
            try:
                descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except OSError as error:
                msg = f"cannot write {path} ({error.strerror}): choose another place with --journal"
                raise GaplessError(msg) from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                pause.wait(_PAUSE_S)
                continue
            if is_still_at(path, descriptor):
                os.ftruncate(descriptor, 0)
                return cls(path, descriptor)
            os.close(descriptor)
        owner = owner_of(path) or {}
        where = f" at {owner['websocket']}" if "websocket" in owner else ""
        msg = (
            f"another forwarder{where} has the journal {path.with_suffix('')}: "
            "watch that one, end it, or choose another with --journal"
        )
        raise LockedError(msg)

    def write(self, ready: dict[str, Any]) -> None:
        """Leave the ready line, so that others find this process."""
        line = json.dumps({**ready, "pid": os.getpid()}) + "\n"
        os.pwrite(self._descriptor, line.encode(), 0)

    def release(self) -> None:
        """Take the file away and let go."""
        if is_still_at(self.path, self._descriptor):
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()
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


def lock_path(journal: Path) -> Path:
    """The lock file of a journal."""
    return journal.with_name(journal.name + ".lock")


def owner_of(path: Path) -> dict[str, Any] | None:
    """The ready line of the process that has the lock; empty while it is not yet ready.

    None where nobody has it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _parsed(os.pread(descriptor, _BYTES_MAX, 0))
        return None
    finally:
        os.close(descriptor)


def wait_until_free(path: Path) -> None:
    """Block until nobody has the lock; returns at once where there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        ready = json.loads(data)
    except ValueError:
        return {}
    return ready if isinstance(ready, dict) else {}


def hold_new() -> tuple[Path, int]:
    """A new lifeline, held until the returned descriptor is closed.

    The file may be removed once whoever is tied to it has opened it.
    """
    descriptor, name = tempfile.mkstemp(prefix="gapless-", suffix=".held")
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return Path(name), descriptor


def when_released(path: Path, then: Callable[[], None]) -> None:
    """Call ``then``, from a thread of its own, once nobody holds the lifeline ``path``.

    Raises:
        SimulatorError: the file can't be opened, so that nobody can be holding it.

    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        msg = f"the lifeline {path} can't be opened ({error.strerror}); make the file first"
        raise SimulatorError(msg) from error

    def wait() -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.close(descriptor)
        then()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
