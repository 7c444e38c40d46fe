"""A lifeline: a file that a parent holds a lock on, and whose release ends the children.

The kernel lets go of the lock with its last holder, however that one ends, SIGKILL included.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from simulator.errors import SimulatorError


def hold_new() -> tuple[Path, int]:
    """A new lifeline, held until the returned descriptor is closed.

    The file may be removed once whoever is tied to it has opened it.
    """
    descriptor, name = tempfile.mkstemp(prefix="gapless-", suffix=".held")
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return Path(name), descriptor


def when_released(path: Path, then: Callable[[], None]) -> None:
    """Call ``then``, from a thread of its own, once nobody holds the lifeline ``path``.

    Raises:
        SimulatorError: the file can't be opened, so that nobody can be holding it.

    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        msg = f"the lifeline {path} can't be opened ({error.strerror}); make the file first"
        raise SimulatorError(msg) from error

    def wait() -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.close(descriptor)
        then()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
