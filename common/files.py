"""Files that are replaced as a whole, never written in place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


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
