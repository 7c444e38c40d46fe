"""The lock file beside a journal: one forwarder a journal, and where it is to be found.

The forwarder holds an exclusive ``flock`` on the file for as long as it runs and leaves its
ready line in it. A file that nobody locks is what a killed forwarder left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from common.errors import GaplessError
from common.locks import is_still_at

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
