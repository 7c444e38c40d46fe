"""Lock files, and lifelines that end a process when nobody needs it any more.

The kernel releases a ``flock`` when its holder ends, SIGKILL included. So a file that the users
of a process lock (shared) is a lifeline: the process waits for the exclusive lock, and ends when
it gets it. It keeps that lock until it has ended, and removes the file last; a newcomer that
waited for the file then sees that its name means another file now, and starts over. It never
relies on a process that is about to end.

A ``LockFile`` (exclusive) beside a journal lets one forwarder use the journal, and says where
that forwarder listens. An unlocked file is what a killed forwarder left behind.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from common.errors import GaplessError
from common.files import NotRegularError, open_regular

END_WITHIN_S: Final = 15.0
"""Longest that a process may take to end in order once its lifeline is released."""

_MODE: Final = 0o600
_TRIES: Final = 20
_PAUSE_S: Final = 0.05
"""Looking whether a file is locked locks it for a moment, so taking it is tried for a second."""
_READY_BYTES_MAX: Final = 65_536


class LockedError(GaplessError):
    """Another process holds the lock, usually a forwarder that uses the same journal."""


class _Lock:
    """A lock on an open file, released by ``release``, the ``with`` block or the process's end."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Release the lock; repeating it is harmless."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()


class FileHold(_Lock):
    """A shared lock: keeps the process that waits for the file running."""

    def __init__(self, path: Path, descriptor: int, *, remove: bool) -> None:
        """Wrap a locked descriptor; ``hold`` makes it. ``remove``: delete the file at release."""
        super().__init__(path, descriptor)
        self._remove = remove

    def release(self) -> None:
        """Release the lock, and delete the file if it belongs to this hold alone."""
        if self._descriptor is not None and self._remove:
            self.path.unlink(missing_ok=True)
        super().release()


def hold(path: Path, *, remove: bool = False) -> FileHold:
    """Hold a file, made if missing; waits while a process that watches it is ending.

    ``remove``: the file is the caller's alone and is deleted with its release.

    Raises:
        GaplessError: it cannot be made or opened.
    """
    while True:
        try:
            descriptor = _open_or_make(path)
        except OSError as error:
            msg = f"cannot use the lock file {path} ({error.strerror}): move it away"
            raise GaplessError(msg) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if is_same_file(path, descriptor):
                return FileHold(path, descriptor, remove=remove)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def hold_temporary(folder: Path | None = None) -> FileHold:
    """Hold a new file in ``folder`` (None: the system's for temporary files).

    It may be deleted as soon as the processes that wait for it have opened it.
    """
    descriptor, name = tempfile.mkstemp(prefix="gapless-", suffix=".held", dir=folder)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return FileHold(Path(name), descriptor, remove=True)


def is_held(path: Path) -> bool:
    """Return whether any process has a lock on the file."""
    descriptor = _open_existing(path)
    if descriptor is None:
        return False
    try:
        return not _try_lock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def call_when_released(path: Path, then: Callable[[], None]) -> None:
    """Call ``then`` in a thread once no process holds the lifeline ``path``.

    Raises:
        GaplessError: the file cannot be opened, so no process can hold it.
    """
    try:
        descriptor = open_regular(path, os.O_RDWR)
    except OSError as error:
        msg = f"the lifeline {path} can't be opened ({error.strerror}): create the file first"
        raise GaplessError(msg) from error

    def act() -> None:
        os.close(descriptor)
        then()

    _act_when_released(descriptor, act)


def end_when_released(path: Path, end_within_s: float = END_WITHIN_S) -> None:
    """End this process, as SIGTERM would, once no process holds ``path`` (or it is missing).

    Returns at once. A process that has not ended ``end_within_s`` later exits with code 1.
    """
    descriptor = _open_existing(path)
    if descriptor is None:
        os.kill(os.getpid(), signal.SIGTERM)
        return

    def act() -> None:
        atexit.register(_remove, path, descriptor)
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(end_within_s)
        os._exit(1)

    _act_when_released(descriptor, act)


def remove_if_free(path: Path, is_needed: Callable[[], bool] | None = None) -> None:
    """Delete a file that no process holds any more; a missing one is no error.

    ``is_needed`` is asked while no process can take hold of the file; True keeps it.
    """
    descriptor = _open_existing(path)
    if descriptor is None:
        return
    try:
        if _try_lock(descriptor, fcntl.LOCK_EX) and (is_needed is None or not is_needed()):
            _remove(path, descriptor)
    finally:
        os.close(descriptor)


def is_same_file(path: Path, descriptor: int) -> bool:
    """Return whether the open file is still the one with this name."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))


class LockFile(_Lock):
    """The exclusive lock on a journal, with the ready line of the forwarder that has it."""

    @classmethod
    def take(cls, path: Path, tries: int = _TRIES) -> Self:
        """Lock a file, made if missing; waits between tries, since another may just be ending.

        Raises:
            LockedError: another process has it.
            GaplessError: it cannot be made or opened.
        """
        pause = threading.Event()
        for _ in range(tries):
            try:
                descriptor = _open_or_make(path)
            except OSError as error:
                msg = f"cannot write {path} ({error.strerror}): choose another place with --journal"
                raise GaplessError(msg) from error
            if not _try_lock(descriptor, fcntl.LOCK_EX):
                os.close(descriptor)
                pause.wait(_PAUSE_S)
                continue
            if is_same_file(path, descriptor):
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
        """Write the ready line, so that other processes find this one."""
        self.write_text(json.dumps({**ready, "pid": os.getpid()}) + "\n")

    def write_text(self, text: str) -> None:
        """Write a text for processes that read the file while this one has the lock."""
        assert self._descriptor is not None, "the lock is held"
        os.pwrite(self._descriptor, text.encode(), 0)

    def release(self) -> None:
        """Delete the file and release the lock."""
        if self._descriptor is not None:
            _remove(self.path, self._descriptor)
        super().release()


class FileLock(_Lock):
    """An exclusive lock on a file that stays, empty, when it is released."""

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Lock a file, made if missing; None where another process has it.

        Raises:
            OSError: The file cannot be made or opened.
        """
        descriptor = _open_or_make(path)
        if _try_lock(descriptor, fcntl.LOCK_EX):
            return cls(path, descriptor)
        os.close(descriptor)
        return None


def lock_path(journal: Path) -> Path:
    """Return the path of a journal's lock file."""
    return journal.with_name(journal.name + ".lock")


def owner_of(path: Path) -> dict[str, Any] | None:
    """Return the ready line of the process that has the lock; None if no process has it.

    The dictionary is empty while that process is not ready yet.
    """
    data = read_locked(path)
    return None if data is None else _parsed(data)


def read_locked(path: Path) -> bytes | None:
    """Return what a file contains, if a process has the lock on it; else None."""
    descriptor = _open_existing(path, os.O_RDONLY)
    if descriptor is None:
        return None
    try:
        if _try_lock(descriptor, fcntl.LOCK_SH):
            return None
        return os.pread(descriptor, _READY_BYTES_MAX, 0)
    finally:
        os.close(descriptor)


def wait_until_free(path: Path) -> None:
    """Block until no process has the lock; returns at once if the file is missing."""
    descriptor = _open_existing(path, os.O_RDONLY)
    if descriptor is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _open_existing(path: Path, flags: int = os.O_RDWR) -> int | None:
    """Open a lock file; None where none is, as no process can hold a lock there."""
    try:
        return open_regular(path, flags)
    except (FileNotFoundError, NotRegularError):
        return None


def _open_or_make(path: Path) -> int:
    # Not through a link: a lock that is taken is emptied, so this would empty another file.
    return open_regular(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, _MODE)


def _try_lock(descriptor: int, kind: int) -> bool:
    """Lock an open file if that is possible at once; return whether it was."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _act_when_released(descriptor: int, act: Callable[[], None]) -> None:
    """Call ``act`` in a daemon thread once this descriptor has the exclusive lock."""

    def wait() -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        act()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def _remove(path: Path, descriptor: int) -> None:
    if is_same_file(path, descriptor):
        path.unlink(missing_ok=True)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        ready = json.loads(data)
    except ValueError:
        return {}
    return ready if isinstance(ready, dict) else {}
