"""The 64-bit digest by which forwarder and viewer compare presence, uniqueness and content.

The digest of a range is the sum of its events' digests modulo 2^64: it can be kept incrementally
and does not depend on the order in which the events arrived.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, Protocol

MODULUS: Final = 1 << 64
_MASK: Final = MODULUS - 1


def event_digest(event_id: str, timestamp: int, stream: str, message: str) -> int:
    """Return the digest of one event, 0 <= digest < 2**64; ``timestamp`` in ms.

    Lone surrogates, which CloudWatch's JSON may contain, are hashed in their three-byte form. A
    high and a low surrogate in sequence are joined first, as JSON encoders and decoders join them.
    """
    text = f"{event_id}\n{timestamp}\n{stream}\n{message}"
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        data = paired.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


class DigestInput(Protocol):
    """The fields of an event that its digest covers."""

    @property
    def id(self) -> str:
        """Event id, decimal."""

    @property
    def timestamp(self) -> int:
        """Event time, ms since the Unix epoch."""

    @property
    def stream(self) -> str:
        """Log stream name."""

    @property
    def message(self) -> str:
        """Message text."""


def event_digests(events: Sequence[DigestInput]) -> list[int]:
    """Return ``event_digest`` of each event; takes a third less time than one call per event."""
    try:
        return [
            int.from_bytes(
                blake2b(
                    f"{event.id}\n{event.timestamp}\n{event.stream}\n{event.message}".encode(),
                    digest_size=8,
                ).digest(),
                "big",
            )
            for event in events
        ]
    except UnicodeEncodeError:
        return [
            event_digest(event.id, event.timestamp, event.stream, event.message) for event in events
        ]


def digest_sum(digests: Iterable[int], start: int = 0) -> int:
    """Return the digest of a range: ``start`` plus its events' digests, modulo 2^64."""
    return sum(digests, start) & _MASK


def digest_hex(value: int) -> str:
    """Format a digest as on the wire, 16 hex digits; takes ``value`` modulo 2^64, so any int."""
    return f"{value & _MASK:016x}"
