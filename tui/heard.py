"""What one connection's messages said beside the events, and what was granted on it. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from wire.messages import Bye, Credit, Upstream

CREDIT_EVENTS: Final = 20_000
"""Events that may be on their way: some 5 MB, a fraction of a second of a fast forwarder [15]."""


class Heard(msgspec.Struct):
    """For the status."""

    head_seq: int | None = None
    upstream: Upstream | None = None
    past_total: int | None = None
    past_received: int = 0
    bye: Bye | None = None


class Grant:
    """Credit of one connection: every item of every frame counts [15]."""

    def __init__(self) -> None:
        """The query grants the first events."""
        self._items = 0
        self._granted = CREDIT_EVENTS

    def used(self, items: int) -> bool:
        """Events came; whether half of the credit is used, so that more must be granted."""
        self._items += items
        return self._granted - self._items <= CREDIT_EVENTS // 2

    def renewed(self) -> Credit:
        """The whole of it again, as the cumulative number that the wire has."""
        self._granted = self._items + CREDIT_EVENTS
        return Credit(self._granted)
