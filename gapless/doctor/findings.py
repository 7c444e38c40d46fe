"""The findings of ``gapless doctor``, as text and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import msgspec

from common.errors import EXIT_DONE, EXIT_FAILURE
from common.text import escape_unprintable

State = Literal["ok", "warn", "fail"]
"""Works; works with a restriction, or could not be tried; does not work."""

STATES: Final[tuple[State, ...]] = ("ok", "warn", "fail")


class Finding(msgspec.Struct, frozen=True):
    """The result of one check.

    Attributes:
        check: What was checked.
        state: How it went.
        what: What was found.
        remedy: What to do about it; empty if nothing needs to be done.
    """

    check: str
    state: State
    what: str
    remedy: str = ""


def divide(text: str) -> tuple[str, str]:
    """Divide an error's text, ``what happened: what to do``; the remedy may be empty."""
    what, _, remedy = text.partition(": ")
    return what, remedy


def exit_code(findings: Iterable[Finding]) -> int:
    """Return the exit code of the command: a failure if any check failed."""
    return EXIT_FAILURE if any(one.state == "fail" for one in findings) else EXIT_DONE


def as_lines(findings: Sequence[Finding]) -> list[tuple[State, str]]:
    """Lay the findings out, one a line; each with its state, by which it may be coloured."""
    width = max((len(one.check) for one in findings), default=0)
    return [(one.state, _line(one, width)) for one in findings]


def _line(one: Finding, width: int) -> str:
    text = f"{one.what}: {one.remedy}" if one.remedy else one.what
    return escape_unprintable(f"{one.state:<4}  {one.check:<{width}}  {' '.join(text.split())}")


def as_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return the findings as JSON values."""
    return [msgspec.to_builtins(one) for one in findings]
