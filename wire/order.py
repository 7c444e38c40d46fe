"""Display order: positions ``K = timestamp:id`` and intervals ``K..K`` of them.

A position is compared as (timestamp, int(id)). Inside the project it is one integer, the key,
so that it is sort key, identity and duplicate check at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from wire.errors import WireError
from wire.limits import ID_DIGITS_MAX, TIMESTAMP_MAX

ID_BITS: Final = 192
"""Room for ids of up to 57 digits (10**57 < 2**190)."""

_ID_MASK: Final = (1 << ID_BITS) - 1
_POSITION: Final = re.compile(rf"([0-9]{{1,16}}):([0-9]{{1,{ID_DIGITS_MAX}}})", re.ASCII)

KEY_MIN: Final = 0
"""Below every event."""

KEY_MAX: Final = ((TIMESTAMP_MAX + 1) << ID_BITS) - 1
"""Above every event."""


def key_of(timestamp: int, event_id: str) -> int:
    """The key of an event; ``timestamp`` in ms, ``event_id`` decimal.

    Raises:
        WireError: the id is not a decimal number of at most 57 digits.

    """
    if len(event_id) > ID_DIGITS_MAX or not (event_id.isascii() and event_id.isdigit()):
        msg = f"event id {event_id[:20]!r} is not a decimal number of 1 to {ID_DIGITS_MAX} digits"
        raise WireError(msg)
    return timestamp << ID_BITS | int(event_id)


def are_ids(ids: Sequence[str]) -> bool:
    """Whether ``key_of`` would take each of some ids; False where there is none."""
    digits = "".join(ids)
    if not (digits.isascii() and digits.isdigit()):
        return False
    sizes = list(map(len, ids))
    return min(sizes) > 0 and max(sizes) <= ID_DIGITS_MAX


def first_key(timestamp: int) -> int:
    """The least key of a millisecond."""
    return timestamp << ID_BITS


def last_key(timestamp: int) -> int:
    """The greatest key of a millisecond."""
    return timestamp << ID_BITS | _ID_MASK


def timestamp_of(key: int) -> int:
    """The milliseconds of a key."""
    return key >> ID_BITS


def id_of(key: int) -> int:
    """The id of a key, as a number (its leading zeros, if it had any, are gone)."""
    return key & _ID_MASK


def format_key(key: int) -> str:
    """A position as the wire has it, ``timestamp:id``."""
    return f"{key >> ID_BITS}:{key & _ID_MASK}"


def parse_key(text: str) -> int:
    """The key of a position ``timestamp:id``.

    Raises:
        WireError: it is not of that form or out of range.

    """
    found = _POSITION.fullmatch(text)
    if found is None or int(found[1]) > TIMESTAMP_MAX:
        msg = f"position {text[:40]!r} is not of the form timestamp:id"
        raise WireError(msg)
    return key_of(int(found[1]), found[2])


class Interval(msgspec.Struct, frozen=True):
    """Positions from ``low`` through ``high``, both ends included; an open side is None."""

    low: int | None = None
    high: int | None = None

    def __contains__(self, key: int) -> bool:
        """Whether the position ``key`` lies within."""
        return (self.low is None or key >= self.low) and (self.high is None or key <= self.high)

    def __str__(self) -> str:
        """As the wire has it, ``K..K`` with either side empty where it is open."""
        low = "" if self.low is None else format_key(self.low)
        high = "" if self.high is None else format_key(self.high)
        return f"{low}..{high}"


def parse_interval(text: str) -> Interval:
    """The interval of ``K..K``, either side of which may be empty.

    Raises:
        WireError: it is not of that form, or empty because low is above high.

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
