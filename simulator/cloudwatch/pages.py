"""Pure: what one page holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from simulator.acceptance import EVENT_OVERHEAD_BYTES
from simulator.cloudwatch.events import Event

PAGE_BYTES_MAX: Final = 1_048_576
"""AWS says "up to 1 MB of log events"; counted here as PutLogEvents counts a batch."""

EXAMINED_MAX: Final = 20_000
"""How many events that are not shown end a page, which may thus be short, or empty."""


class Page(NamedTuple):
    """``position`` is the key of the last event looked at; None if there was none."""

    events: list[Event]
    position: int | None
    may_be_more: bool


def message_bytes(message: str) -> int:
    """How long a message is in UTF-8; a lone surrogate counts 3."""
    if message.isascii():
        return len(message)
    return len(message.encode("utf-8", "surrogatepass"))


def collect(
    events: Iterable[Event], events_max: int, shows: Callable[[Event], bool] | None = None
) -> Page:
    """The first page of the events, at most ``events_max``; ``shows`` says which are shown."""
    taken: list[Event] = []
    position: int | None = None
    room = PAGE_BYTES_MAX
    unseen = 0
    for event in events:
        if len(taken) >= events_max or unseen >= EXAMINED_MAX:
            return Page(taken, position, may_be_more=True)
        if shows is not None and not shows(event):
            unseen += 1
            position = event[0]
            continue
        size = message_bytes(event[3]) + EVENT_OVERHEAD_BYTES
        # One event alone may be larger than a page, and would never be read otherwise.
        if size > room and taken:
            return Page(taken, position, may_be_more=True)
        room -= size
        taken.append(event)
        position = event[0]
    return Page(taken, position, may_be_more=False)
