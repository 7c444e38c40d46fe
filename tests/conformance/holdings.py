"""What a client holds by its own reckoning, and count and digest of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import msgspec

from wire.digest import digest_hex, event_digest
from wire.messages import Item
from wire.order import key_of
from wire.query import Filter


class Held(msgspec.Struct, gc=False):
    """One event; ``digest`` is reckoned once."""

    key: int
    seq: int
    timestamp: int
    stream: str
    digest: int

    @classmethod
    def of(cls, item: Item) -> Self:
        """As the wire gave it.

        Raises:
            WireError: its id is no decimal number.

        """
        return cls(
            key_of(item.timestamp, item.id),
            item.seq,
            item.timestamp,
            item.stream,
            event_digest(item.id, item.timestamp, item.stream, item.message),
        )


class Holdings:
    """The events that count, by their position in display order."""

    def __init__(self, events: Iterable[Held] = (), *, base: int = 0) -> None:
        """Begin with these; ``base`` as the query parameter."""
        self.events: dict[int, Held] = {one.key: one for one in events}
        self.base = base

    def total(self, from_: int, through: int, seq: int) -> tuple[int, str]:
        """Count and digest of the events of a range of time with ``base < seq <=`` that."""
        count = digest = 0
        for one in self.events.values():
            if from_ <= one.timestamp <= through and self.base < one.seq <= seq:
                count += 1
                digest += one.digest
        return count, digest_hex(digest)

    def matching(
        self, wanted: Filter, *, after: int = 0, through_seq: int | None = None
    ) -> set[int]:
        """The positions of those that a filter wants, with ``after < seq <= through_seq``."""
        return {
            one.key
            for one in self.events.values()
            if wanted.matches(one.stream)
            and one.seq > after
            and (through_seq is None or one.seq <= through_seq)
        }

    def in_order(self) -> list[Held]:
        """In display order."""
        return [one for _, one in sorted(self.events.items())]
