"""Cursors, bookmarks and columns, saved for the next run in files that are replaced as a whole.

A cursor's file holds epoch, seq, held range, since and filter together, so that no crash can
separate them. Numbers in brackets are rules of PROTOCOL.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from common.files import read_regular, replace_file
from wire.codec import encode
from wire.order import Interval, parse_interval
from wire.query import Filter

NOTHING_HELD: Final = Interval(0, 0)
"""``held`` while no history is here; without ``held`` the forwarder would send none [1]."""

CONTEXT_LINES: Final = 1_000
"""Lines of the previous run that a resuming viewer shows at once."""

CURSOR_VERSION: Final = 2
"""Version 1 is the same, but plain output saved its cursors in the same files."""

BOOKMARKS_VERSION: Final = 1
COLUMNS_VERSION: Final = 1


class Cursor(msgspec.Struct, frozen=True):
    """The place from which a connection resumes."""

    epoch: str
    after: int
    """The seq stored last."""
    held: Interval
    """The part of the history that is here."""


class Subject(msgspec.Struct, frozen=True):
    """The target, filter and start that a cursor was saved for; it is valid for no others [7]."""

    target: str
    """Identifies the target from run to run: a forwarder's URL, or what a local one serves."""
    group: str | None
    filter: Filter
    since: int
    consumer: str = ""
    """The name given with ``--resume``; empty: the screen's own cursor."""


class PreviousRun(msgspec.Struct, frozen=True):
    """Which lines the previous run received, for the next one to refetch."""

    left_ms: int
    """When it ended, ms by the viewer's wall clock."""
    newest_ms: int
    """The time of its newest event."""
    context_ms: int
    """The time of the event ``CONTEXT_LINES`` before that."""
    older: int
    """About how many events it received before ``context_ms``."""


class SavedCursor(msgspec.Struct, frozen=True):
    """A cursor with its subject, saved and loaded as one."""

    subject: Subject
    cursor: Cursor
    previous: PreviousRun | None = None


class _CursorFile(msgspec.Struct):
    """A cursor's file; positions are text, since they exceed every JSON number."""

    version: int
    target: str
    group: str | None
    filter: Filter
    since: int
    epoch: str
    after: int
    held: str
    seen: PreviousRun | None = None
    consumer: str = ""

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
            seen=saved.previous,
            consumer=subject.consumer,
        )

    def saved(self) -> SavedCursor:
        if not 1 <= self.version <= CURSOR_VERSION:
            msg = f"version {self.version} is none of 1 to {CURSOR_VERSION}"
            raise ValueError(msg)
        subject = Subject(self.target, self.group, self.filter, self.since, self.consumer)
        cursor = Cursor(self.epoch, self.after, parse_interval(self.held))
        return SavedCursor(subject, cursor, self.seen)


def save_cursor(folder: Path, saved: SavedCursor) -> None:
    """Save a cursor in place of the one of the same target, group, filter and consumer.

    Raises:
        OSError: The file cannot be written; the old one stays.
    """
    subject = saved.subject
    path = _cursor_path(folder, subject.target, subject.group, subject.filter, subject.consumer)
    with replace_file(path, sync=True) as file:
        file.write(encode(_CursorFile.of(saved)))


def load_cursor(
    folder: Path,
    target: str,
    group: str | None,
    event_filter: Filter,
    since: int | None = None,
    *,
    consumer: str = "",
    warn: Callable[[str], None] = lambda _text: None,
) -> SavedCursor | None:
    """Load the cursor saved for this target, group and filter [7]; None without a usable one.

    Args:
        folder: The folder of the cursors.
        target: Identifies the target from run to run.
        group: The log group.
        event_filter: The filter.
        since: If given, a cursor with another ``since`` is not usable either [7].
        consumer: The name given with ``--resume``.
        warn: Called with a text about a file that exists but cannot be used.
    """
    path = _cursor_path(folder, target, group, event_filter, consumer)
    try:
        saved = msgspec.json.decode(read_regular(path), type=_CursorFile).saved()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
        why = error.strerror if isinstance(error, OSError) else "it is damaged"
        warn(f"cannot resume where the last viewer stopped ({why}: {path}): starting over")
        return None
    start = saved.subject.since if since is None else since
    subject = Subject(target, group, event_filter, start, consumer)
    return saved if _is_about(saved, subject) else None


def _is_about(saved: SavedCursor, subject: Subject) -> bool:
    """Whether a cursor was saved with this target, group, filter and since [7]."""
    return saved.subject == subject


def is_of_earlier_version(
    folder: Path, target: str, group: str | None, event_filter: Filter
) -> bool:
    """Whether the cursor of a target was saved when screen and output still shared one."""
    try:
        data = read_regular(_cursor_path(folder, target, group, event_filter, ""))
        return msgspec.json.decode(data, type=_CursorFile).version == 1
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return False


def _cursor_path(
    folder: Path, target: str, group: str | None, event_filter: Filter, consumer: str
) -> Path:
    parts: list[Any] = [target, group, identity_of(event_filter)]
    return folder / f"{digest_of([*parts, consumer] if consumer else parts)}.json"


class _BookmarksFile(msgspec.Struct):
    """A bookmarks file; keys are text, since they exceed every JSON number."""

    version: int
    bookmarks: list[str]


def bookmarks_path(
    folder: Path, targets: Sequence[tuple[str, str | None]], event_filter: Filter
) -> Path:
    """Return the bookmarks file of a set of targets.

    Args:
        folder: The folder of the saved cursors.
        targets: Each target's identity and log group, in their order, since keys depend on it.
        event_filter: The filter.
    """
    return folder / f"{digest_of([list(targets), identity_of(event_filter)])}.view.json"


def save_bookmarks(path: Path, bookmarks: Iterable[int]) -> None:
    """Save bookmarks for the next run.

    Raises:
        OSError: The file cannot be written; the old one stays.
    """
    content = _BookmarksFile(BOOKMARKS_VERSION, [str(key) for key in bookmarks])
    with replace_file(path, sync=True) as file:
        file.write(encode(content))


def load_bookmarks(path: Path) -> list[int]:
    """Load the bookmarks of an earlier run; none if the file is missing or damaged."""
    try:
        content = msgspec.json.decode(read_regular(path), type=_BookmarksFile)
        is_known = content.version == BOOKMARKS_VERSION
        return [int(key) for key in content.bookmarks] if is_known else []
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return []


class _ColumnsFile(msgspec.Struct):
    """A columns file."""

    version: int
    columns: list[str]


def columns_path(folder: Path, targets: Sequence[tuple[str, str | None]]) -> Path:
    """Return the columns file of a set of targets, under any filter.

    Args:
        folder: The folder of the saved cursors.
        targets: Each target's identity and log group.
    """
    return folder / f"{digest_of(['columns', sorted(targets, key=str)])}.columns.json"


def save_columns(path: Path, names: Iterable[str]) -> None:
    """Save the fields that have columns for the next run.

    Raises:
        OSError: The file cannot be written; the old one stays.
    """
    with replace_file(path, sync=True) as file:
        file.write(encode(_ColumnsFile(COLUMNS_VERSION, list(names))))


def load_columns(path: Path) -> list[str]:
    """Load the columns of an earlier run; none if the file is missing or damaged."""
    try:
        content = msgspec.json.decode(read_regular(path), type=_ColumnsFile)
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return []
    return content.columns if content.version == COLUMNS_VERSION else []


def identity_of(event_filter: Filter) -> dict[str, Any]:
    """Return a filter's values for ``digest_of``; those of one without a pattern never change."""
    values: dict[str, Any] = msgspec.to_builtins(event_filter)
    if not event_filter.pattern:
        del values["pattern"]
    return values


def digest_of(parts: list[Any]) -> str:
    """Return a digest of JSON values, for a file's name."""
    return blake2b(encode(parts), digest_size=16).hexdigest()
