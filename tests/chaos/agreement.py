"""Whether what a screen claims agrees with the verdict on it. Pure.

The screen's own words are read from a picture, as a person reads them: the first line says how the
connection is, the status line what is verified, and what the simulator thinks of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len

_PIECE: Final = re.compile(
    r"\x1b\[(?P<row>\d+);(?P<column>\d+)H"
    r"|\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)"
    r"|[\x00-\x1a\x1c-\x1f]+"
    r"|(?P<text>[^\x00-\x1f]+)",
    re.DOTALL,
)

STATUS_ROWS: Final = 2
"""Rows at the bottom: the status line, and the keys."""

_VERDICT: Final = re.compile(
    r"\b(?P<word>PASS|WAIT|FAIL) (?:[^/]*? · )?"
    r"(?P<here>[\d,]+)/(?P<owed>[\d,]+)"
    r"(?: · (?P<deleted>[\d,]+) deleted)?"
    r"(?: · (?P<away>[\d,]+) (?:in flight|not here yet))?"
)

CUT: Final = "\u203a"
"""Ends a line that is wider than the screen."""

_NOT_CURRENT: Final = re.compile(
    r"^ *(?:. )?(?:CONNECTING|RECONNECTING|FAILED|CREDENTIALS|ACCESS DENIED|LOG GROUP MISSING|CLOCK"
    r"|CLOUDWATCH (?:THROTTLES|UNREACHABLE)|NO ANSWER)"
)
"""States in which nothing newer can be verified, as the first line names them."""


class Claims(NamedTuple):
    """What a picture says: the first line, the status line, and the verdict in it, if any."""

    state: str
    status: str
    verdict: Mapping[str, str | None]


def rows_of(written: str, columns: int) -> dict[int, str]:
    """Return the text of each row, from 1, that terminal output leaves; wide characters count 2."""
    cells: dict[int, list[str]] = {}
    row, column = 1, 1
    for piece in _PIECE.finditer(written):
        if piece["row"]:
            row, column = int(piece["row"]), int(piece["column"])
            continue
        for one in piece["text"] or "":
            line = cells.setdefault(row, [" "] * columns)
            if column <= columns:
                line[column - 1] = one
                for covered in range(column, min(columns, column - 1 + cell_len(one))):
                    line[covered] = ""
            column += cell_len(one)
    return {number: "".join(line) for number, line in cells.items()}


def claims_of(rows: Mapping[int, str]) -> Claims | None:
    """Read the claims of a picture; None if it has no status line."""
    lowest = [rows[number] for number in sorted(rows)[-STATUS_ROWS:]]
    status = next(filter(_is_status, lowest), "")
    if not status:
        return None
    found = _VERDICT.search(status)
    return Claims(rows.get(1, ""), status, {} if found is None else found.groupdict())


def contradictions(claims: Claims) -> Sequence[str]:
    """Return what contradicts what; empty if everything agrees."""
    state, status, verdict = claims
    is_green = "COMPLETE to" in status
    found: list[str] = []
    if is_green and _NOT_CURRENT.search(state):
        found.append("green although nothing newer can be verified")
    if is_green and " MISSING " in status:
        found.append("green with a range that is missing")
    if verdict:
        here, owed, deleted, away = (
            int((verdict[name] or "0").replace(",", ""))
            for name in ("here", "owed", "deleted", "away")
        )
        is_empty = not here and "no line is shown yet" in status
        total = here + deleted + away
        # A figure may stand in the part of a line that has no room.
        adds_up = total == owed or (total < owed and status.rstrip().endswith(CUT))
        if verdict["word"] != "FAIL" and not adds_up and not is_empty:
            found.append("the figures do not add up")
        if verdict["word"] == "PASS" and "not here yet" in status:
            found.append("PASS although lines are not here")
        if verdict["word"] == "FAIL":
            found.append("the verdict is FAIL")
    return found


def _is_status(row: str) -> bool:
    return any(word in row for word in ("COMPLETE to", "NOT VERIFIED", "verified to", "MISSING"))
