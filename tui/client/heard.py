"""What one connection's messages said beside the events, and what was granted on it. Pure."""

from __future__ import annotations

import msgspec

from wire.messages import Bye, Credit, Upstream


class Heard(msgspec.Struct):
    """For the status."""

    head_seq: int | None = None
    upstream: Upstream | None = None
    past_total: int | None = None
    past_received: int = 0
    bye: Bye | None = None


class Grant:
    """Credit of one connection: every item of every frame counts [15].

    Args:
        events: Events that may be on their way; the query has granted so many.

    """

    def __init__(self, events: int) -> None:
        """Nothing has come yet."""
        self._events = events
        self._items = 0
        self._granted = events

    def used(self, items: int) -> bool:
        """Events came; whether half of the credit is used, so that more must be granted."""
        self._items += items
        return self._granted - self._items <= self._events // 2

    def renewed(self) -> Credit:
        """The whole of it again, as the cumulative number that the wire has."""
        self._granted = self._items + self._events
        return Credit(self._granted)
