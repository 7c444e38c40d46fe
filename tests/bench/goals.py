"""Performance goals, printed beside the measured figures."""

from __future__ import annotations

from typing import NamedTuple


class Goal(NamedTuple):
    """An upper bound for a figure, or a lower bound if ``is_least``."""

    bound: float
    unit: str
    is_least: bool = False
    """Whether the bound is a minimum."""

    def judged(self, measured: float, *, holds: bool = True) -> str:
        """Compare a figure with the goal, as in ``goal ≤ 300 ms: met`` (or ``MISSED``).

        Args:
            measured: The figure, in the goal's unit.
            holds: Whether the goal's other conditions hold.

        """
        is_met = measured >= self.bound if self.is_least else measured <= self.bound
        said = f"goal {'≥' if self.is_least else '≤'} {self.bound:,g} {self.unit}"
        return f"{said}: {'met' if is_met and holds else 'MISSED'}"


FIRST_PICTURE = Goal(60, "ms")
FIRST_FRAME = Goal(250, "ms")
IN_ORDER = Goal(300_000, "lines/s", is_least=True)
ALL_LATE = Goal(100_000, "lines/s", is_least=True)
HOT = Goal(320, "MB")
COLD = Goal(190, "MB")
FRAME_P50 = Goal(2, "ms")
FRAME_P99 = Goal(5, "ms")
FILTER_FIRST = Goal(20, "ms")
FILTER_ALL = Goal(120, "ms")
FIELDS_ALL = Goal(1_000, "ms")
PATTERNS_ALL = Goal(5, "s")
KEY_P95 = Goal(25, "ms")


def figure(what: str, measured: str, *goals: str) -> str:
    """Format one line of a report."""
    return f"{what:<36} {measured:<50} {', '.join(goals)}".rstrip()
