"""Display order: sort keys ``K = timestamp:id`` and intervals ``K..K`` of them.

Keys are compared as (timestamp, int(id)). In memory a key is one integer, so that the same value
orders events, identifies them and reveals duplicates.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from wire.errors import WireError
from wire.limits import ID_DIGITS_MAX, TIMESTAMP_MAX

ID_BITS: Final = 192
"""Low bits of a key that hold the id: room for 57 digits (10**57 < 2**190)."""

_ID_MASK: Final = (1 << ID_BITS) - 1
_KEY: Final = re.compile(rf"([0-9]{{1,16}}):([0-9]{{1,{ID_DIGITS_MAX}}})", re.ASCII)

KEY_MIN: Final = 0
"""Smallest key: no event sorts before it."""

KEY_MAX: Final = ((TIMESTAMP_MAX + 1) << ID_BITS) - 1
"""Largest key: no event sorts after it."""


def key_of(timestamp: int, event_id: str) -> int:
    """Return the sort key of an event; ``timestamp`` in ms, ``event_id`` decimal.

    Raises:
        WireError: the id is not a decimal number of at most 57 digits.
    """
    if len(event_id) > ID_DIGITS_MAX or not (event_id.isascii() and event_id.isdigit()):
        msg = f"event id {event_id[:20]!r} is not a decimal number of 1 to {ID_DIGITS_MAX} digits"
        raise WireError(msg)
    return timestamp << ID_BITS | int(event_id)


def are_valid_ids(ids: Sequence[str]) -> bool:
    """Whether ``key_of`` accepts every one of ``ids``; False for an empty sequence."""
    digits = "".join(ids)
    if not (digits.isascii() and digits.isdigit()):
        return False
    sizes = list(map(len, ids))
    return min(sizes) > 0 and max(sizes) <= ID_DIGITS_MAX


def first_key(timestamp: int) -> int:
    """Return the smallest key of a millisecond."""
    return timestamp << ID_BITS


def last_key(timestamp: int) -> int:
    """Return the largest key of a millisecond."""
    return timestamp << ID_BITS | _ID_MASK


def timestamp_of(key: int) -> int:
    """Return the timestamp in a key, ms since the Unix epoch."""
    return key >> ID_BITS


def id_of(key: int) -> int:
    """Return the event id in a key as a number; leading zeros of the original are lost."""
    return key & _ID_MASK


def format_key(key: int) -> str:
    """Format a key as on the wire, ``timestamp:id``."""
    return f"{key >> ID_BITS}:{key & _ID_MASK}"


def parse_key(text: str) -> int:
    """Parse a key of the form ``timestamp:id``.

    Raises:
        WireError: not of that form, or the timestamp is out of range.
    """
    match = _KEY.fullmatch(text)
    if match is None or int(match[1]) > TIMESTAMP_MAX:
        msg = f"sort key {text[:40]!r} is not of the form timestamp:id"
        raise WireError(msg)
    return key_of(int(match[1]), match[2])


class Interval(msgspec.Struct, frozen=True):
    """The keys from ``low`` through ``high``, both included; None leaves a side open."""

    low: int | None = None
    high: int | None = None

    def __contains__(self, key: int) -> bool:
        """Whether ``key`` lies in the interval."""
        return (self.low is None or key >= self.low) and (self.high is None or key <= self.high)

    def __str__(self) -> str:
        """Format as on the wire, ``K..K``; an open side is empty."""
        low = "" if self.low is None else format_key(self.low)
        high = "" if self.high is None else format_key(self.high)
        return f"{low}..{high}"


def parse_interval(text: str) -> Interval:
    """Parse an interval ``K..K``; either side may be empty.

    Raises:
        WireError: not of that form, or low is above high.
    """
    low, dots, high = text.partition("..")
    if not dots:
        msg = f"held {text[:40]!r} is not of the form K..K"
        raise WireError(msg)
    interval = Interval(parse_key(low) if low else None, parse_key(high) if high else None)
    if interval.low is not None and interval.high is not None and interval.low > interval.high:
        msg = f"held {text[:40]!r} ends before it begins"
        raise WireError(msg)
    return interval
