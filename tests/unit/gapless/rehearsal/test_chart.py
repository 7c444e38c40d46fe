from __future__ import annotations

import pytest

from gapless.rehearsal.chart import NAME_CELLS, chart
from gapless.rehearsal.course import Course
from gapless.rehearsal.reactions import reactions
from tests.support import rehearsals


def drawn(columns: int, *, ascii_only: bool = False) -> dict[str, str]:
    course = rehearsals.course()
    lines = chart(course, reactions(course), columns, ascii_only=ascii_only)
    return {line[:NAME_CELLS].strip(): line[NAME_CELLS:] for line in lines[:-1]}


def test_the_chart_has_a_cell_for_each_second() -> None:
    rows = drawn(NAME_CELLS + 31)
    assert rows["cable"] == "        !█████████░+✓"
    assert rows["viewer"] == "━━━━━━━━xxxxxxxxxxxpp━━━━━━━━━"
    assert rows["verified"] == " ━━━━━━━━━━━━━━━.....━━━━━━━━━"
    assert rows["lines"][20] == "█"
    assert rows["lines"][8:20].strip() == ""
    assert rows[""].startswith("0 s  5 s  10 s")


@pytest.mark.parametrize("columns", [0, 60, 80, 120, 300])
def test_it_fits(columns: int) -> None:
    course = rehearsals.course()
    lines = chart(course, reactions(course), columns)
    assert all(len(line) < max(columns, NAME_CELLS + 31) for line in lines[:-1])


def test_it_can_be_ascii() -> None:
    course = rehearsals.course()
    assert all(line.isascii() for line in chart(course, reactions(course), 80, ascii_only=True))


def test_nothing_happened() -> None:
    assert len(chart(Course(), [], 80)) == 5
