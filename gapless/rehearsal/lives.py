"""Pure: what a viewer has shown in all its lives, as one record.

A viewer that was killed goes on at its saved cursor, so its last record begins there. What it
printed before it was killed was shown as well. It may have been killed between printing and
saving, so that the next life prints it again: that is no duplicate. One that a single life shows
twice is.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

Event = dict[str, Any]

_SHOWN: Final = ("id", "log_stream", "timestamp", "message")


def joined(record: bytes, earlier: Sequence[bytes]) -> bytes:
    """A record that has, beside its own events, those that earlier lives printed as NDJSON."""
    if not earlier:
        return record
    # As bytes: text would end a line at every separator that a message has in it.
    entries = [json.loads(line) for line in record.split(b"\n") if line]
    header, rest = entries[:1], entries[1:]
    events = [one for one in rest if one["type"] == "event"]
    known = {_identity(one) for one in events}
    added: list[Event] = []
    for printed in earlier:
        fresh = [one for one in events_of(printed) if _identity(one) not in known]
        added += fresh
        known |= {_identity(one) for one in fresh}
    # The record's own order is kept, since it is what is judged.
    merged = heapq.merge(events, sorted(added, key=_place), key=_place)
    others = [one for one in rest if one["type"] != "event"]
    return _lines([*header, *merged, *others])


def events_of(printed: bytes) -> list[Event]:
    """The events of a life's output; the line in which it was killed is none."""
    whole, _, _ = printed.rpartition(b"\n")
    return [{"type": "event", **json.loads(line)} for line in whole.split(b"\n") if line]


def _identity(event: Event) -> tuple[object, ...]:
    return tuple(event[name] for name in _SHOWN)


def _place(event: Event) -> tuple[int, int]:
    return (event["timestamp"], int(event["id"]))


def _lines(entries: Iterable[Event]) -> bytes:
    return b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in entries)
