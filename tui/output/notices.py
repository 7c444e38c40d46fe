"""Notices on stderr: when CloudWatch can't be read, and which lines are or may be missing. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from common.times import iso_range
from tui.client.status import UpstreamProblem
from tui.lines.rows import Rule, describe, is_outage

READABLE_AGAIN = "CloudWatch Logs can be read again"

GAPS_MAX: Final = 1_000
"""Gaps whose notices are remembered; a change of an older one is printed once more."""

_DECLARED: Final = frozenset({"lost", "offline", "rebased", "unequal"})
"""The rules that are printed with their range of time; gaps are too, once for each change."""
_NEWS: Final = frozenset({"joined", "left"})
"""The rules that are printed without a range of time."""


class UpstreamNotices:
    """Remembers what was printed about each target, so that each change is printed once."""

    def __init__(self) -> None:
        self._codes: dict[int, str] = {}

    def take(self, problems: Sequence[UpstreamProblem | None], names: Sequence[str]) -> list[str]:
        """Return the lines to print for what has changed since the last call.

        Args:
            problems: The engine's, one per target; None leaves what was printed as it is.
            names: The targets' names, which are printed where there are several.
        """
        lines = []
        for number, problem in enumerate(problems):
            if problem is None or problem.code == self._codes.get(number, ""):
                continue
            self._codes[number] = problem.code
            text = (problem.reason or problem.code) if problem.code else READABLE_AGAIN
            lines.append(f"{names[number]}: {text}" if len(problems) > 1 else text)
        return lines


class GapNotices:
    """Selects the rules that are printed; a gap's is printed once for each change of its text.

    A gap that is being repaired is the same as a suspected one here: scans repeat. The gap of an
    outage is left out until it is unrecoverable, as ``UpstreamNotices`` has its reason.
    """

    def __init__(self) -> None:
        self._printed: dict[int, str] = {}

    def take(self, rules: Sequence[Rule]) -> list[str]:
        """Return the lines to print for new and changed rules."""
        lines = []
        for rule in rules:
            if rule.kind in _NEWS:
                lines.append(describe(rule))
            elif rule.kind in _DECLARED or (rule.kind == "gap" and self._is_changed(rule)):
                through = rule.from_ms if rule.through_ms is None else rule.through_ms
                lines.append(f"{describe(rule)} ({iso_range(rule.from_ms, through)})")
        return lines

    def _is_changed(self, gap: Rule) -> bool:
        if gap.state == "repaired":
            return self._printed.pop(gap.key, None) is not None
        if gap.state == "unrecoverable":
            # Its range is part of what is missing, so a wider one is a change as well.
            text = f"{gap.reason} {gap.from_ms} {gap.through_ms}"
        elif is_outage(gap.reason):
            return False
        else:
            text = gap.reason
        is_changed = self._printed.pop(gap.key, None) != text
        self._printed[gap.key] = text
        if len(self._printed) > GAPS_MAX:
            del self._printed[next(iter(self._printed))]
        return is_changed
