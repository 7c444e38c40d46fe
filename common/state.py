"""The state directory: journals, locks, lifelines, cursors and tracebacks of unexpected errors."""

from __future__ import annotations

import contextlib
import os
import stat
import time
import traceback
from pathlib import Path
from typing import Final

import platformdirs

from common.errors import GaplessError

STATE_DIR_VARIABLE: Final = "GAPLESS_STATE_DIR"
_TRACEBACKS_MAX: Final = 20
"""Tracebacks of unexpected errors that are kept; the oldest are deleted."""


def state_dir(*parts: str) -> Path:
    """Return a directory inside the state directory; made if missing, for its owner only.

    Raises:
        GaplessError: it cannot be made.
    """
    path, chosen = state_path(*parts), os.environ.get(STATE_DIR_VARIABLE)
    try:
        make_private_dir(path)
        # Earlier versions left some of them readable. A directory that the user named may have
        # other uses, so its own mode stays.
        for one in (path, *path.parents)[: len(parts) + (not chosen)]:
            _make_private(one)
    except OSError as error:
        msg = (
            f"cannot make the state directory {path} ({error.strerror}): "
            f"name a writable one in {STATE_DIR_VARIABLE}"
        )
        raise GaplessError(msg) from error
    return path


def state_path(*parts: str) -> Path:
    """Return the path of something inside the state directory, without making anything."""
    chosen = os.environ.get(STATE_DIR_VARIABLE)
    root = Path(chosen) if chosen else platformdirs.user_state_path("gapless", appauthor=False)
    return root.joinpath(*parts)


def make_private_dir(path: Path) -> None:
    """Make a directory and its missing parents, each for its owner only whatever the umask.

    Raises:
        OSError: one of them cannot be made.
    """
    missing = [one for one in (path, *path.parents) if not one.is_dir()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
        one.chmod(0o700)


def _make_private(path: Path) -> None:
    found = path.stat()
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
        path.chmod(0o700)


def save_traceback(error: BaseException) -> Path | None:
    """Write an unexpected error's traceback to a file; return its path, None if that fails."""
    with contextlib.suppress(GaplessError, OSError):
        folder = state_dir("faults")
        path = folder / f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.txt"
        text = "".join(traceback.format_exception(error))
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
        for old in sorted(folder.glob("*.txt"))[:-_TRACEBACKS_MAX]:
            old.unlink(missing_ok=True)
        return path
    return None
