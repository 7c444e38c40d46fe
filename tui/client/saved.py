"""From where a viewer goes on: the cursor, alone and as it is saved between runs. Pure.

Cursors saved between runs: each a file, replaced as a whole.

Epoch, cursor, held, since and filter stand in one file, so that no crash can tear them apart.

What of the view is kept for the next run about the same targets: a file, replaced as a whole.

It stands beside the saved cursors (``state``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final, Self

import msgspec

from wire.codec import encode
from wire.order import Interval, parse_interval
from wire.query import Filter

NOTHING_HELD: Final = Interval(0, 0)
"""``held`` where none of the past has come yet: without ``held`` none would be owed [1]."""


class Cursor(msgspec.Struct, frozen=True):
    """From where a connection goes on: epoch, the seq last stored, and the past held."""

    epoch: str
    after: int
    held: Interval


class Subject(msgspec.Struct, frozen=True):
    """What a cursor is about; with any other one it means nothing [7]."""

    target: str
    """What names it from run to run: a forwarder's URL, or what its own forwarder is found by."""
    group: str | None
    filter: Filter
    since: int


class Seen(msgspec.Struct, frozen=True):
    """What a viewer had when it was left, for the next one to fetch."""

    left_ms: int
    """When it was left: its own wall clock, ms."""
    newest_ms: int
    """The time of its newest event."""
    context_ms: int
    """The time of the event ``CONTEXT_LINES`` before that."""
    older: int
    """Events before ``context_ms``, about."""


CONTEXT_LINES: Final = 1_000
"""Lines that are shown again when a viewer goes on."""


class SavedCursor(msgspec.Struct, frozen=True):
    """A cursor with what it is about: saved and read as one."""

    subject: Subject
    cursor: Cursor
    seen: Seen | None = None


CURSOR_VERSION: Final = 1


class _CursorFile(msgspec.Struct):
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
            version=CURSOR_VERSION,
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
        if self.version != CURSOR_VERSION:
            msg = f"version {self.version} is not {CURSOR_VERSION}"
            raise ValueError(msg)
        subject = Subject(self.target, self.group, self.filter, self.since)
        cursor = Cursor(self.epoch, self.after, parse_interval(self.held))
        return SavedCursor(subject, cursor, self.seen)


def save_cursor(folder: Path, saved: SavedCursor) -> None:
    """Keep a cursor for the next run about the same.

    Raises:
        OSError: it can't be written; what was there before still is.

    """
    subject = saved.subject
    path = _path(folder, subject.target, subject.group, subject.filter)
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with draft.open("wb") as file:
            file.write(encode(_CursorFile.of(saved)))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def load_cursor(
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
        saved = msgspec.json.decode(path.read_bytes(), type=_CursorFile).saved()
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


BOOKMARKS_VERSION: Final = 1


class _BookmarksFile(msgspec.Struct):
    """Keys as text, since no JSON number has room for them."""

    version: int
    bookmarks: list[str]


def bookmarks_path(folder: Path, targets: Sequence[tuple[str, str | None]], wanted: Filter) -> Path:
    """Where the view of these targets is kept.

    Args:
        folder: Of the saved cursors.
        targets: What names each from run to run, and its log group; in the order of their lanes,
            since keys have them.
        wanted: The filter.

    """
    name = encode([list(targets), wanted])
    return folder / f"{blake2b(name, digest_size=16).hexdigest()}.view.json"


def save_bookmarks(path: Path, bookmarks: Iterable[int]) -> None:
    """Keep the bookmarks for the next run.

    Raises:
        OSError: they can't be written; what was there before still is.

    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with draft.open("wb") as file:
            file.write(encode(_BookmarksFile(BOOKMARKS_VERSION, [str(key) for key in bookmarks])))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def load_bookmarks(path: Path) -> list[int]:
    """The bookmarks of an earlier run; none where the file is not there or not whole."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_BookmarksFile)
        return [int(key) for key in kept.bookmarks] if kept.version == BOOKMARKS_VERSION else []
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return []
