"""Cursors saved between runs: each a file, replaced as a whole.

Epoch, cursor, held, since and filter stand in one file, so that no crash can tear them apart.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Final, Self

import msgspec

from tui.client.saved import Cursor, SavedCursor, Seen, Subject
from wire.codec import encode
from wire.order import parse_interval
from wire.query import Filter

VERSION: Final = 1


class _File(msgspec.Struct):
    """What a file holds; positions as text, since no JSON number has room for them."""

    version: int
    target: str
    group: str | None
    filter: Filter
    since: int
    epoch: str
    after: int
    held: str
    seen: Seen | None = None

    @classmethod
    def of(cls, saved: SavedCursor) -> Self:
        subject, cursor = saved.subject, saved.cursor
        return cls(
            version=VERSION,
            target=subject.target,
            group=subject.group,
            filter=subject.filter,
            since=subject.since,
            epoch=cursor.epoch,
            after=cursor.after,
            held=str(cursor.held),
            seen=saved.seen,
        )

    def saved(self) -> SavedCursor:
        if self.version != VERSION:
            msg = f"version {self.version} is not {VERSION}"
            raise ValueError(msg)
        subject = Subject(self.target, self.group, self.filter, self.since)
        cursor = Cursor(self.epoch, self.after, parse_interval(self.held))
        return SavedCursor(subject, cursor, self.seen)


def save(folder: Path, saved: SavedCursor) -> None:
    """Keep a cursor for the next run about the same.

    Raises:
        OSError: it can't be written; what was there before still is.

    """
    subject = saved.subject
    path = _path(folder, subject.target, subject.group, subject.filter)
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with draft.open("wb") as file:
            file.write(encode(_File.of(saved)))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def load(
    folder: Path,
    target: str,
    group: str | None,
    wanted: Filter,
    since: int | None = None,
    *,
    warn: Callable[[str], None] = lambda _text: None,
) -> SavedCursor | None:
    """The cursor of an earlier run about that target, group and filter [7]; None: there is none.

    Args:
        folder: Where they are kept.
        target: What names it from run to run.
        group: The log group.
        wanted: The filter.
        since: Where given, a cursor with another ``since`` is none of ours either [7].
        warn: Hears of a file that is there and of no use.

    A file that can't be read or is not whole is as good as none: everything comes again.
    """
    path = _path(folder, target, group, wanted)
    try:
        saved = msgspec.json.decode(path.read_bytes(), type=_File).saved()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
        why = error.strerror if isinstance(error, OSError) else "it is damaged"
        warn(f"cannot go on where the last viewer was ({why}: {path}): beginning anew")
        return None
    subject = Subject(target, group, wanted, saved.subject.since if since is None else since)
    return saved if _is_about(saved, subject) else None


def forget(folder: Path, saved: SavedCursor) -> None:
    """Take a cursor away: its execution is over, or nothing is to be resumed."""
    subject = saved.subject
    _path(folder, subject.target, subject.group, subject.filter).unlink(missing_ok=True)


def _is_about(saved: SavedCursor, subject: Subject) -> bool:
    """Whether a cursor was made with this group, filter and since [7]."""
    return saved.subject == subject


def _path(folder: Path, target: str, group: str | None, wanted: Filter) -> Path:
    name = encode([target, group, wanted])
    return folder / f"{blake2b(name, digest_size=16).hexdigest()}.json"
