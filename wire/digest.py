"""The digest that both ends compute: presence, uniqueness and content in 64 bits.

The digest of a range is the sum modulo 2^64 of its events' digests, so that it can be kept
incrementally and does not depend on the order in which events arrived.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, Protocol

MODULUS: Final = 1 << 64
_MASK: Final = MODULUS - 1


def event_digest(event_id: str, timestamp: int, stream: str, message: str) -> int:
    """The digest of one event: 0 <= digest < 2**64; ``timestamp`` in ms.

    Lone surrogates, legal in CloudWatch's JSON, are passed through to their three-byte form. The
    two halves of a pair are one character, as they are after any way through JSON.
    """
    text = f"{event_id}\n{timestamp}\n{stream}\n{message}"
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        data = paired.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


class Digested(Protocol):
    """What of an event its digest is about."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def timestamp(self) -> int:
        """Its time in ms."""

    @property
    def stream(self) -> str:
        """Its log stream."""

    @property
    def message(self) -> str:
        """Its message."""


def event_digests(events: Sequence[Digested]) -> list[int]:
    """The digest of each event, as ``event_digest`` has it, in two thirds of the time."""
    try:
        return [
            int.from_bytes(
                blake2b(
                    f"{one.id}\n{one.timestamp}\n{one.stream}\n{one.message}".encode(),
                    digest_size=8,
                ).digest(),
                "big",
            )
            for one in events
        ]
    except UnicodeEncodeError:
        return [event_digest(one.id, one.timestamp, one.stream, one.message) for one in events]


def digest_sum(digests: Iterable[int], start: int = 0) -> int:
    """The digest of a range, from its events' digests."""
    return sum(digests, start) & _MASK


def digest_hex(value: int) -> str:
    """Sixteen hex digits, as the wire has them; ``value`` may be out of range or negative."""
    return f"{value & _MASK:016x}"
