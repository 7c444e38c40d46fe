"""``gapless`` that kills itself with SIGKILL at a point of its work on a shared journal.

Usage: ``python -m tests.cluster.crash_points FILE ARGUMENTS``. The process dies at the point that
the file names, the first time that it gets there; the file is removed just before.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final

from forwarder.cluster.postgres import PostgresLog
from forwarder.cluster.replicated import ReplicatedJournal

BEFORE_APPEND: Final = "before append"
AFTER_APPEND: Final = "after append, before it is applied"
AFTER_APPLY: Final = "after apply"
AFTER_RENEW: Final = "after renew"
AFTER_TRIM: Final = "after a part of former chains was trimmed"
AFTER_ACQUIRE: Final = "after acquire, before the epoch"
AFTER_EPOCH: Final = "after the epoch"

OWNERS: Final = (BEFORE_APPEND, AFTER_APPEND, AFTER_APPLY, AFTER_RENEW)
"""Points that the owner passes again and again."""

TAKERS: Final = (AFTER_ACQUIRE, AFTER_EPOCH)
"""Points that the next owner passes as it takes over."""

Method = Callable[..., Any]


def install(file: Path) -> None:
    """Let each point look for the file."""

    def die(point: str) -> None:
        try:
            is_meant = file.read_text() == point
        except FileNotFoundError:
            return
        if is_meant:
            file.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def around(method: Method, before: str | None, after: str | None) -> Method:
        @wraps(method)
        def call(*given: object, **named: object) -> object:
            if before is not None:
                die(before)
            result = method(*given, **named)
            if after is not None:
                die(after)
            return result

        return call

    for owner, name, before, after in (
        (PostgresLog, "append", BEFORE_APPEND, AFTER_APPEND),
        (PostgresLog, "renew", None, AFTER_RENEW),
        (PostgresLog, "trim", None, AFTER_TRIM),
        (PostgresLog, "acquire", None, AFTER_ACQUIRE),
        (ReplicatedJournal, "append", None, AFTER_APPLY),
        (ReplicatedJournal, "begin_epoch", None, AFTER_EPOCH),
    ):
        setattr(owner, name, around(getattr(owner, name), before, after))


def main() -> None:
    """Run the command."""
    install(Path(sys.argv[1]))
    sys.argv[:2] = ["gapless"]
    from gapless.cli import main as run  # noqa: PLC0415 - after the installation

    run()


if __name__ == "__main__":
    main()
