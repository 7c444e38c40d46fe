"""Files that are opened without waiting, replaced as a whole, and watched for changes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


class NotRegularError(OSError):
    """A named pipe, socket or device stands in a file's place."""


def open_regular(path: Path | str, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """Open a regular file, or the null device, and return its descriptor; an ``opener``, too.

    Opening a named pipe would wait for its other end, and no signal could end that.

    Raises:
        NotRegularError: it is another kind of file.
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) or _is_null_device(found):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise NotRegularError(errno.EINVAL, "it is not a regular file", str(path))


def read_regular(path: Path, size: int = -1) -> bytes:
    """Return the content of a regular file, or its first ``size`` bytes.

    Raises:
        OSError: it cannot be read, or is not a regular file.
    """
    with open(path, "rb", opener=open_regular) as file:
        return file.read(size)


def _is_null_device(found: os.stat_result) -> bool:
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == Path(os.devnull).stat().st_rdev


class StableFile:
    """Notices when a file has changed, once it stays the same for two checks in a row.

    A file that is still being written lacks its last lines.
    """

    def __init__(self, path: Path) -> None:
        """Take the file as it is now for read."""
        self.path = path
        self._read = self._seen = _signature(path)

    def has_changed(self) -> bool:
        """Whether the file is another one than at the last change, and is written completely."""
        found = _signature(self.path)
        is_stable, self._seen = found == self._seen, found
        if found == self._read or not is_stable:
            return False
        self._read = found
        return True


def _signature(path: Path) -> tuple[int, int, int, int] | None:
    """Return what changes with a file's content; None if the file can't be examined."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


@contextmanager
def replace_file(path: Path, *, sync: bool = False) -> Iterator[BinaryIO]:
    """Open a draft that replaces ``path`` at the end of the block, unless the block raises.

    ``sync`` flushes the draft to the disk first: even after a power failure the file is either
    the old or the new one.

    A device, such as /dev/null, is written to, and so is a file that is open already, such as
    /dev/stdout: another file must not take its place. Any other link stays, and leads to the file.

    Raises:
        OSError: The draft cannot be written; the old file stays.
    """
    if path.is_char_device() or _is_descriptor(path):
        with path.open("wb") as file:
            yield file
        return
    path = Path(os.path.realpath(path))
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        draft.unlink(missing_ok=True)
        with draft.open("xb") as file:  # never through a link that somebody put there
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _is_descriptor(path: Path) -> bool:
    """Whether the name is one of those that Linux gives to a process's open files."""
    is_system = any(path.absolute().is_relative_to(one) for one in ("/dev", "/proc"))
    return is_system and path.is_symlink()
