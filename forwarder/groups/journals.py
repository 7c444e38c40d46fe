"""The journal files of one forwarder: one file for all its log groups, or a folder with one each.

A forwarder of fixed log groups has one file. One whose log groups come and go has a folder, so that
a log group's journal can be deleted alone. There each file has a lock file beside it: ``gapless
purge`` may only delete a journal whose lock it has taken.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from common.errors import GaplessError
from common.locks import LockFile, lock_path
from common.processes import return_free_memory
from common.state import make_private_dir
from forwarder.errors import JournalError
from forwarder.journal.contract import Journal
from forwarder.journal.sqlite import SqliteJournals
from forwarder.records import FeedKey

SHARED_NAME: Final = "journal.sqlite3"
"""The one file of a forwarder with several fixed log groups, in the folder that was named."""

SUFFIX: Final = ".sqlite3"
REST_AFTER: Final = 60
"""Looks at a journal without a use between them, after which it rests; see ``rest_one``."""

_COMPANIONS: Final = ("-wal", "-shm", "-journal")
"""Ends of the names of files that SQLite makes beside a journal."""

_SLUG_CHARS_MAX: Final = 60

_LOCK_TRIES: Final = 2
"""Attempts to lock a journal: another process may just look whether it is locked."""

DESCRIPTORS_PER_FEED: Final = 3
"""Open files of a journal in a folder: the file, its WAL and its lock."""


class Journals(Protocol):
    """The open journals of a forwarder."""

    def exists(self, key: FeedKey) -> bool:
        """Whether there may be events of earlier runs."""

    def open(self, key: FeedKey) -> Journal:
        """Open or create a feed's journal, under a new epoch.

        Raises:
            JournalError: it can't be opened; nothing was changed.
        """

    def close(self, key: FeedKey) -> None:
        """Close a feed's journal, which stays on disk.

        Raises:
            JournalError: it can't be closed properly.
        """

    def close_all(self) -> None:
        """Close what is open."""

    def size_bytes(self, key: FeedKey) -> int:
        """Size on disk; of a shared file, the part of this feed."""


class SharedFile:
    """One file for all feeds, open until the end."""

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            JournalError: it can't be opened.
        """
        self._journals = SqliteJournals(path)

    def exists(self, key: FeedKey) -> bool:
        """Whether there may be events of earlier runs."""
        return self._journals.journal(key.group, key.pattern).head_seq > 0

    def open(self, key: FeedKey) -> Journal:
        """Return a feed's journal."""
        return self._journals.journal(key.group, key.pattern)

    def close(self, key: FeedKey) -> None:
        """Let the next ``open`` begin a new epoch; the file stays open for the other feeds."""
        self._journals.release(key.group, key.pattern)

    def close_all(self) -> None:
        """Close the file."""
        self._journals.close()

    def size_bytes(self, key: FeedKey) -> int:
        """Approximate size of a feed's rows and bodies."""
        return self._journals.journal(key.group, key.pattern).size_bytes()


class JournalFolder:
    """A file for each feed, opened while the feed runs."""

    def __init__(self, folder: Path) -> None:
        """Create the folder if needed.

        Raises:
            JournalError: it can't be created, or is a file.
        """
        self._folder = folder
        self._open: dict[FeedKey, tuple[SqliteJournals, LockFile]] = {}
        self._unused: dict[FeedKey, tuple[int, int]] = {}
        self._has_rested = False
        try:
            make_private_dir(folder)
        except OSError as error:
            msg = (
                f"the journals' folder {folder} can't be made ({error.strerror}): "
                "give --journal a folder"
            )
            raise JournalError(msg) from error

    def exists(self, key: FeedKey) -> bool:
        """Whether there may be events of earlier runs."""
        return self._path(key).exists()

    def open(self, key: FeedKey) -> Journal:
        """Open or create a feed's journal, under a new epoch.

        Raises:
            JournalError: it can't be opened, or another forwarder has it.
        """
        path = self._path(key)
        try:
            lock = LockFile.take(lock_path(path), tries=_LOCK_TRIES)
        except GaplessError as error:
            raise JournalError(str(error)) from error
        try:
            journals = SqliteJournals(path, is_small=True)
            try:
                journal = journals.journal(key.group, key.pattern)
            except BaseException:
                journals.close()
                raise
        except BaseException:
            lock.release()
            raise
        self._open[key] = journals, lock
        return journal

    def close(self, key: FeedKey) -> None:
        """Close a feed's journal, and note the time as that of its last use.

        Raises:
            JournalError: it can't be closed properly.
        """
        found = self._open.pop(key, None)
        if found is None:
            return
        journals, lock = found
        self._has_rested = True
        try:
            journals.close()
        finally:
            with suppress(OSError):
                os.utime(self._path(key))
            lock.release()

    def close_all(self) -> None:
        """Close what is open."""
        for key in list(self._open):
            self.close(key)

    def rest_one(self) -> None:
        """Let a journal rest that was not used for the last ``REST_AFTER`` calls of this method.

        One at a time: its last pages are synchronised to the disk. After the last one, and after
        some were closed, their memory is returned to the system.

        Raises:
            JournalError: it can't be written.
        """
        rested = False
        unused: dict[FeedKey, tuple[int, int]] = {}
        for key, (journals, _) in self._open.items():
            count = journals.use_count
            if count is None:
                continue
            before, looks = self._unused.get(key, (-1, 0))
            looks = looks + 1 if before == count else 0
            if looks >= REST_AFTER and not rested:
                rested = self._has_rested = True
                journals.rest()
            else:
                unused[key] = count, looks
        self._unused = unused
        if self._has_rested and not rested:
            self._has_rested = False
            return_free_memory()

    def size_bytes(self, key: FeedKey) -> int:
        """Size of a feed's files on disk."""
        return file_bytes(self._path(key))

    def delete_unused(self, older_than_s: float) -> int:
        """Delete the journals that were not used for this long; returns the bytes freed."""
        return sum(delete_journal(path, older_than_s) or 0 for path in journals_in(self._folder))

    def _path(self, key: FeedKey) -> Path:
        return self._folder / journal_name(key)


_NAME: Final = re.compile(rf"(?a:[A-Za-z0-9-]*-[0-9a-f]{{16}}{re.escape(SUFFIX)})")
"""The names that ``journal_name`` gives."""


def journal_name(key: FeedKey) -> str:
    """Name of a feed's file in a folder: readable, and different for each feed."""
    text = f"{key.group}\0{key.pattern}".encode("utf-8", "surrogatepass")
    slug = re.sub(r"[^A-Za-z0-9]+", "-", key.group).strip("-")[-_SLUG_CHARS_MAX:]
    return f"{slug}-{hashlib.blake2b(text, digest_size=8).hexdigest()}{SUFFIX}"


def journals_in(folder: Path) -> list[Path]:
    """Every journal file of a folder, by name; not another program's database there."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if _NAME.fullmatch(path.name))


def file_bytes(path: Path) -> int:
    """Size of a journal on disk, with what SQLite keeps beside it; 0 if it does not exist."""
    size = 0
    for one in _files_of(path):
        with suppress(OSError):
            size += one.stat().st_size
    return size


def last_used_s(path: Path) -> float:
    """When a journal was last written or closed, seconds since the Unix epoch; 0: never."""
    times = [0.0]
    for one in _files_of(path):
        with suppress(OSError):
            times.append(one.stat().st_mtime)
    return max(times)


def delete_journal(path: Path, older_than_s: float, lock_file: Path | None = None) -> int | None:
    """Delete a journal that was not used for this long; returns its size, None if it stays.

    A journal that a forwarder has open stays, however old it is: the forwarder holds ``lock_file``
    (None: the one beside the journal).
    """
    if time.time() - last_used_s(path) < older_than_s:
        return None
    try:
        lock = LockFile.take(lock_file or lock_path(path), tries=_LOCK_TRIES)
    except GaplessError:
        return None
    try:
        size = file_bytes(path)
        for one in _files_of(path):
            with suppress(FileNotFoundError):
                one.unlink()
    except OSError:
        return None
    else:
        return size
    finally:
        lock.release()


def move_journal(path: Path, place: Path) -> None:
    """Move a journal that is not open, with what SQLite keeps beside it.

    Raises:
        OSError: it cannot be moved.
    """
    # The file itself last: until then the journal is where it was.
    for one, other in reversed(list(zip(_files_of(path), _files_of(place), strict=True))):
        if one.exists():
            one.rename(other)


def _files_of(path: Path) -> list[Path]:
    return [path, *(path.with_name(path.name + end) for end in _COMPANIONS)]
