"""Which processes a command started, and whether anything of them is left."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

import psutil

from tests.support.parts import wait_until


def family(pid: int) -> list[psutil.Process]:
    """A process and everything that it started and that started."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def is_gone(process: psutil.Process) -> bool:
    """Whether it has ended; a zombie has, and waits only for its parent to hear of it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_gone(processes: Iterable[psutil.Process], timeout_s: float = 60) -> None:
    """Wait until all have ended; AssertionError names the orphans."""
    known = list(processes)
    names = ", ".join(" ".join(one.cmdline()[2:5]) for one in known if not is_gone(one))
    wait_until(lambda: all(map(is_gone, known)), f"the end of: {names}", timeout_s)


def locked_files(state: Path) -> list[Path]:
    """Files below a directory that somebody still holds a lock on."""
    found = []
    for path in state.rglob("*"):
        if not path.is_file():
            continue
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found.append(path)
        finally:
            os.close(descriptor)
    return found


def lock_files(state: Path) -> list[Path]:
    """Files below a directory that are locks or lifelines by their names or places."""
    names = (".lock", ".users", "held")
    files = (path for path in state.rglob("*") if path.is_file())
    return [one for one in files if one.name.endswith(names) or one.parent.name == "lifelines"]
