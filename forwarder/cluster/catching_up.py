"""Catching up with a log without blocking the event loop: the waiting is done in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from forwarder.cluster.engine import EngineThread
from forwarder.cluster.log import Entry, Head, Log, digest_of
from forwarder.cluster.view import REBUILDS_MAX, ForkedError, View

READ_ENTRIES: Final = 16
"""Entries read at once at first: at most 16 MiB, mostly far less."""

READ_ENTRIES_MAX: Final = 1_024
"""Entries read at once where they are small, as those of a quiet log group are."""

READ_BYTES: Final = 1 << 20
"""Encoded bytes to read at once: less, and the next read is for more entries; or the reverse."""

APPLY_BYTES: Final = 16 << 10
"""Encoded bytes applied in one transaction, unless one entry has more: it takes milliseconds, which
viewers of other log groups wait."""


def next_limit(limit: int, size: int) -> int:
    """The number of entries to read after a read of ``limit`` entries with ``size`` bytes."""
    if size > 2 * READ_BYTES:
        return max(1, limit // 2)
    return min(READ_ENTRIES_MAX, 2 * limit) if size < READ_BYTES else limit


def portions(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Cut entries into those that are applied together."""
    start = size = 0
    for index, entry in enumerate(entries):
        added = size_of(entry)
        if size + added > APPLY_BYTES and index > start:
            yield entries[start:index]
            start, size = index, 0
        size += added
    if start < len(entries):
        yield entries[start:]


def size_of(entry: Entry) -> int:
    """Encoded bytes of an entry."""
    return len(entry.index) + len(entry.bodies or b"")


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
    limit = READ_ENTRIES

    def read_after(position: int) -> asyncio.Task[list[Entry]] | None:
        if position >= head.position:
            return None
        return asyncio.create_task(thread.run(partial(log.read, position, limit)))

    reading = read_after(view.position)
    try:
        while reading is not None and (entries := await reading):
            limit = next_limit(limit, sum(map(size_of, entries)))
            # The engine works while the entries are applied.
            reading = read_after(entries[-1].position)
            for portion in portions(entries):
                view.apply(portion)
                await asyncio.sleep(0)
    finally:
        if reading is not None:
            reading.cancel()
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
