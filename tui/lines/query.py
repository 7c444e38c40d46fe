"""Which lines output shows: regular expressions that take in or leave out, and a least level. Pure.

The text is what is searched; ``--grep`` may be given several times, and a line must match all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from tui.lines.levels import at_least, level_of
from tui.lines.rows import Line


class QueryError(ValueError):
    """A text is no regular expression; it says which, and why."""


class LineTest(msgspec.Struct, frozen=True):
    """What a line must pass."""

    include: tuple[re.Pattern[str], ...] = ()
    exclude: tuple[re.Pattern[str], ...] = ()
    level: str | None = None
    """The least level, one of ``tui.lines.levels.LEVELS``; a line without one counts as INFO."""

    def passes(self, line: Line) -> bool:
        """Whether a line is shown."""
        message = line.message
        return (
            all(pattern.search(message) for pattern in self.include)
            and not any(pattern.search(message) for pattern in self.exclude)
            and (self.level is None or at_least(level_of(message), self.level))
        )


def line_test(
    include: Sequence[str] = (), exclude: Sequence[str] = (), level: str | None = None
) -> LineTest:
    """A test from what the user wrote.

    Raises:
        QueryError: not a regular expression.

    """
    return LineTest(tuple(map(_compile, include)), tuple(map(_compile, exclude)), level)


def _compile(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        msg = f"{text[:80]!r} is not a regular expression: {error}"
        raise QueryError(msg) from error
