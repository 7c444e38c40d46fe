"""What the simulation raises when the system is at fault."""

from __future__ import annotations


class FaultError(AssertionError):
    """The simulation found the system at fault; ``kind`` says in which way."""

    def __init__(self, kind: str, what: str) -> None:
        """``kind``: lost, doubled, false green, never converges, starved, dishonest, ..."""
        super().__init__(f"{kind}: {what}")
        self.kind = kind
