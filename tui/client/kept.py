"""What of the view is kept for the next run about the same targets: a file, replaced as a whole.

It stands beside the saved cursors (``state``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from wire.codec import encode
from wire.query import Filter

VERSION: Final = 1


class _File(msgspec.Struct):
    """Keys as text, since no JSON number has room for them."""

    version: int
    bookmarks: list[str]


def path_of(folder: Path, targets: Sequence[tuple[str, str | None]], wanted: Filter) -> Path:
    """Where the view of these targets is kept.

    Args:
        folder: Of the saved cursors.
        targets: What names each from run to run, and its log group; in the order of their lanes,
            since keys have them.
        wanted: The filter.

    """
    name = encode([list(targets), wanted])
    return folder / f"{blake2b(name, digest_size=16).hexdigest()}.view.json"


def save(path: Path, bookmarks: Iterable[int]) -> None:
    """Keep the bookmarks for the next run.

    Raises:
        OSError: they can't be written; what was there before still is.

    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with draft.open("wb") as file:
            file.write(encode(_File(VERSION, [str(key) for key in bookmarks])))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def load(path: Path) -> list[int]:
    """The bookmarks of an earlier run; none where the file is not there or not whole."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_File)
        return [int(key) for key in kept.bookmarks] if kept.version == VERSION else []
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return []
