"""Texts that change under their event's id, as where AWS masks data when it is read. Pure.

The stand-in returns them and the ledger knows them, so both decide by the same rule: an event's
content and a seed. What is read for the first time while a text is altered can't be compared with
anything, so only events of some age are altered.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

import msgspec

from simulator.acceptance import NEVER

KNOWN_MS: Final = 10_000
"""Age at which an event counts as known to every reader that keeps up."""

_MASK: Final = "*"
_MASKED: Final = str.maketrans(dict.fromkeys("0123456789", _MASK))


def masked(message: str) -> str:
    """The other text of a message: its digits are masked, or it begins with a mask."""
    text = message.translate(_MASKED)
    return _MASK + message if text == message else text


class Alteration(msgspec.Struct, frozen=True):
    """A time in which reads return the masked text of a share of the older events.

    Attributes:
        name: The fault's.
        toxicity: The share of the events (0..1).
        seed: Draws the events.
        begin_ms: When it began; events ingested up to ``KNOWN_MS`` before are concerned.
        end_ms: When it ended.
    """

    name: str
    toxicity: float
    seed: int
    begin_ms: int
    end_ms: int = NEVER

    @property
    def ingested_until_ms(self) -> int:
        """Latest ingestion time of the events that are concerned."""
        return self.begin_ms - KNOWN_MS

    def hits(self, stream: str, timestamp: int, message: str) -> bool:
        """Whether an event of that content is among the share."""
        text = f"{self.seed}\n{stream}\n{timestamp}\n{message}".encode("utf-8", "surrogatepass")
        return crc32(text) < self.toxicity * (1 << 32)
