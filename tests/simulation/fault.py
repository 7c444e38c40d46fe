"""What the simulation raises when the system is at fault."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """The ways in which a system that shows logs can be at fault."""

    LOST = "lost"
    """An event that is owed never comes, and is not declared lost."""
    DOUBLED = "doubled"
    """An event is shown twice."""
    ALTERED = "altered"
    """It is shown with another content or place than it was written with."""
    UNEXPECTED = "unexpected"
    """Something counts that was not written, or not asked for."""
    FALSE_GREEN = "false green"
    """More is said to be complete than scans have shown and the viewer holds."""
    FALSE_RED = "false red"
    """The ends disagree without a reason."""
    DISHONEST = "dishonest"
    """A connection is called resumed, or rebased, and is not."""
    STARVED = "starved"
    """Nothing comes of what is owed although the connection stands."""
    NEVER_CONVERGES = "never converges"
    """All is well, and still somebody is not at rest within the bound."""


class FaultError(AssertionError):
    """The simulation found the system at fault, in the way that ``kind`` says."""

    def __init__(self, kind: Kind, what: str) -> None:
        """Say what was found."""
        super().__init__(f"{kind}: {what}")
        self.kind = kind
