"""Files that are replaced as a whole, never written in place, and files that are watched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


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

    Raises:
        OSError: The draft cannot be written; the old file stays.
    """
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
