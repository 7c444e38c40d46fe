"""The journals in the state directory: which there are, who may delete them, and former places.

Background forwarders have a file for each log group (``accounts/…/journals``), ``forward`` has a
file or a folder for its targets (``forward/…``). Up to version 0.1 each log group had a background
forwarder and a folder of its own (``groups/…``), from which its journal is moved.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from common.errors import GaplessError
from common.locks import LockFile, lock_path, owner_of
from common.state import make_private_dir, state_path
from forwarder.groups.journals import (
    SHARED_NAME,
    SUFFIX,
    delete_journal,
    file_bytes,
    journal_name,
    journals_in,
    last_used_s,
    move_journal,
)
from forwarder.records import FeedKey
from gapless.aws import ACCOUNTS, JOURNALS, AwsChoice, group_folder

_FORMER: Final = "groups"
_FORWARD: Final = "forward"


class KeptJournal(msgspec.Struct, frozen=True):
    """A journal file, and the lock that its user holds."""

    path: Path
    lock: Path

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return file_bytes(self.path)

    @property
    def last_used_s(self) -> float:
        """When it was last used, seconds since the Unix epoch."""
        return last_used_s(self.path)

    @property
    def is_used(self) -> bool:
        """Whether a forwarder has it open now."""
        return owner_of(self.lock) is not None

    def delete(self, older_than_s: float) -> int | None:
        """Delete it if it is not in use and was not for this long; returns the bytes freed."""
        return delete_journal(self.path, older_than_s, self.lock)


def all_journals() -> list[KeptJournal]:
    """Every journal in the state directory, by path; not those that a link to a folder leads to."""
    folders = state_path(ACCOUNTS).glob(f"*/{JOURNALS}")
    own = [path for folder in folders for path in journals_in(folder)]
    found = [KeptJournal(path, lock_path(path)) for path in own]
    former = state_path(_FORMER).glob(f"*/{SHARED_NAME}")
    found += [KeptJournal(path, lock_path(path)) for path in former]
    for place in state_path(_FORWARD).glob("*/*"):
        # ``forward`` names its lock by the port, whether there is one file or a folder.
        lock = lock_path(place.with_suffix(""))
        if place.is_dir():
            found += [KeptJournal(path, lock) for path in place.glob(f"*{SUFFIX}")]
        elif place.name.endswith(SUFFIX):
            found.append(KeptJournal(place, lock))
    root = state_path().resolve()
    inside = (one for one in found if one.path.parent.resolve().is_relative_to(root))
    return sorted(inside, key=lambda one: one.path)


def adopt_former(choice: AwsChoice, env: Mapping[str, str], journals: Path) -> list[str]:
    """Move this account's journals from where version 0.1 had them, so that cursors stay valid.

    Returns:
        Names of log groups whose journal is still used by a forwarder of that version.
    """
    in_use = []
    for former in sorted(state_path(_FORMER).glob(f"*/{SHARED_NAME}")):
        for group in _groups_in(former):
            if group_folder(choice, group, env) != former.parent.name:
                continue
            if not _adopt(former, journals / journal_name(FeedKey(group)), journals):
                in_use.append(group)
    return in_use


def _adopt(former: Path, place: Path, folder: Path) -> bool:
    """Move one journal unless the new place has one; return False if it is in use."""
    try:
        lock = LockFile.take(lock_path(former), tries=2)
    except GaplessError:
        return False
    try:
        with contextlib.suppress(OSError):  # a new journal begins then, and viewers show that
            make_private_dir(folder)
            if not place.exists():
                move_journal(former, place)
    finally:
        lock.release()
    with contextlib.suppress(OSError):
        former.with_name("forwarder.log").unlink(missing_ok=True)
        former.with_name(former.name + ".users").unlink(missing_ok=True)
        former.parent.rmdir()
    return True


def _groups_in(path: Path) -> list[str]:
    """Names of the log groups in a journal file; none if it cannot be read or is in use."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as database:
            rows = database.execute("SELECT name FROM chains WHERE is_current").fetchall()
        return [bytes(name).decode("utf-8", "surrogatepass") for (name,) in rows]
    except (sqlite3.Error, UnicodeDecodeError):
        return []
