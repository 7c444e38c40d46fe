"""Notices on stderr of when CloudWatch can't be read, and when it can be again. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tui.client.status import UpstreamProblem

READABLE_AGAIN = "CloudWatch Logs can be read again"


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
