"""The state directory: journals, locks, lifelines, cursors and tracebacks of unexpected errors."""

from __future__ import annotations

import contextlib
import os
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
    chosen = os.environ.get(STATE_DIR_VARIABLE)
    root = Path(chosen) if chosen else platformdirs.user_state_path("gapless", appauthor=False)
    path = root.joinpath(*parts)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        msg = (
            f"cannot make the state directory {path} ({error.strerror}): "
            f"name a writable one in {STATE_DIR_VARIABLE}"
        )
        raise GaplessError(msg) from error
    return path


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
