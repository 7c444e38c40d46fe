"""What was aimed at, said beside what was measured."""

from __future__ import annotations

from typing import NamedTuple


class Goal(NamedTuple):
    """A bound; what is measured is to stay on the right side of it."""

    bound: float
    unit: str
    is_least: bool = False
    """Whether more is better."""

    def judged(self, measured: float, *, holds: bool = True) -> str:
        """``goal ≤ 300 ms: met``, or ``MISSED``.

        Args:
            measured: in the unit of the goal.
            holds: whether what else belongs to it is so.

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
FILTER_ALL = Goal(300, "ms")
KEY_P95 = Goal(25, "ms")


def figure(what: str, measured: str, *goals: str) -> str:
    """One line of a report."""
    return f"{what:<36} {measured:<50} {', '.join(goals)}".rstrip()
