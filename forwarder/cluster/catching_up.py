"""Catching up with a log without blocking the event loop: the waiting is done in a thread."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from forwarder.cluster.engine import EngineThread
from forwarder.cluster.log import Head, Log, digest_of
from forwarder.cluster.view import REBUILDS_MAX, ForkedError, View

READ_ENTRIES: Final = 16
"""Entries read at once: at most 16 MiB, mostly far less."""


async def catch_up(view: View, log: Log, thread: EngineThread) -> None:
    """Apply all that a log has to a view, from scratch if need be, as ``View.catch_up``.

    Raises:
        Unavailable: The log can't be read.
        JournalError: The file can't be written, or the log contradicts itself.
    """
    for _ in range(REBUILDS_MAX):
        try:
            return await _follow(view, log, thread)
        except ForkedError:
            view.rebuild()
    return await _follow(view, log, thread)


async def _follow(view: View, log: Log, thread: EngineThread) -> None:
    head = await thread.run(log.head)
    while view.position < head.position:
        entries = await thread.run(partial(log.read, view.position, READ_ENTRIES))
        if not entries:
            break
        for entry in entries:
            view.apply([entry])
            await asyncio.sleep(0)
    await check_prefix(view, head, log, thread)


async def check_prefix(view: View, head: Head, log: Log, thread: EngineThread) -> None:
    """Check that a view to which a log has nothing to add is a copy of that log.

    Raises:
        ForkedError: It is not: the log was set back.
    """
    is_copy = view.head == head
    if view.position > head.position:
        # The log grew after it was asked for its head, or was set back.
        found = await thread.run(partial(log.read, view.position - 1, 1))
        is_copy = bool(found) and digest_of(found[0].index) == view.head.digest
    if not is_copy:
        raise view.forked(view.position)
