"""Finds a command's processes, locks and lock files, and waits for their end."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

import psutil

from tests.support.processes.gapless_processes import WAIT_S, wait_until


def family(pid: int) -> list[psutil.Process]:
    """A process and all its descendants."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended; zombies count as ended."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def command_of(process: psutil.Process) -> list[str]:
    """A process's command line; empty if it has ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def wait_gone(processes: Iterable[psutil.Process], timeout_s: float = WAIT_S) -> None:
    """Wait until all have ended; AssertionError names the orphans."""
    known = list(processes)
    names = ", ".join(" ".join(command_of(one)[2:5]) for one in known)
    wait_until(lambda: all(map(is_gone, known)), f"the end of: {names}", timeout_s)


def locked_files(state: Path) -> list[Path]:
    """Files below a directory that a process has locked."""
    found = []
    for path in _files(state):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            continue  # removed meanwhile
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found.append(path)
        finally:
            os.close(descriptor)
    return found


def lock_files(state: Path) -> list[Path]:
    """Lock files and lifelines below a directory, by their names."""
    names = (".lock", ".users", "held")
    files = _files(state)
    return [one for one in files if one.name.endswith(names) or one.parent.name == "lifelines"]


def wait_unlocked(state: Path) -> None:
    """Wait until no file is locked: a zombie's threads may close files a moment later."""
    wait_until(lambda: locked_files(state) == [], "the last lock to be released")


def wait_no_locks(state: Path) -> None:
    """Wait until no lock file is left."""
    wait_until(lambda: lock_files(state) == [], "the last lock file to be removed")


def _files(folder: Path) -> list[Path]:
    """Regular files below a directory; other processes may add and remove files meanwhile."""
    paths = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
    return [path for path in paths if path.is_file()]
