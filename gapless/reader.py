"""Whether anybody still reads what is printed: ``| head`` leaves, and says so to nobody."""

from __future__ import annotations

import os
import select
import stat
import threading
from collections.abc import Callable


def when_reader_leaves(descriptor: int, then: Callable[[], None]) -> None:
    """Call ``then``, from a thread of its own, once the other end of a pipe is closed.

    Without it a quiet log would keep a viewer running for nobody: only the next write would
    tell. Does nothing for a file or a terminal.
    """
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return

    def wait() -> None:
        poll = select.poll()
        # Errors and hang-ups are told whether asked for or not; readiness would be told always.
        poll.register(descriptor, 0)
        poll.poll()
        then()

    threading.Thread(target=wait, name="reader", daemon=True).start()
