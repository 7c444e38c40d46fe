from __future__ import annotations

import pytest

from gapless.viewing.session_summary import session_course, session_lines
from tests.support.rehearsals import LOG, START_MS, record


@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_session_is_summed_up(*, ascii_only: bool) -> None:
    course = session_course(LOG, record(), START_MS, START_MS + 182_000)
    lines = session_lines(course, "PASS 886/889 · 3 in flight", 100, ascii_only=ascii_only)
    sign = ";" if ascii_only else "·"
    assert lines[0] == f"Session of 3 min 2 s: PASS 886/889 {sign} 3 in flight"
    assert lines[1] == (
        "1 fault, 1 outage, 232 lines recovered, 2 repaired, 3 late; worst lag 12.0 s"
    )
    [row] = [line for line in lines if line.startswith("cable (disconnect)")]
    figures = "8.0 s 18.0 s 0.1 s reconnecting 1.9 s 2.5 s 232"
    assert " ".join(row.split()[2:]) == figures
    assert any(line.startswith("viewer") for line in lines)
    assert max(map(len, lines)) <= 100
    assert all(line.isascii() for line in lines) or not ascii_only


@pytest.mark.parametrize("cells", [60, 80, 86, 120])
def test_a_summary_fits_the_terminal(cells: int) -> None:
    course = session_course(LOG, record(), START_MS, START_MS + 182_000)
    lines = session_lines(course, "FAIL 2 lost, 1 marks lied · 886/889", cells)
    assert max(map(len, lines)) <= cells
    titles = next(line for line in lines if line.startswith("fault"))
    assert "verified again" in titles
    assert ("until" in titles) == (cells >= 120)
    assert "detected" in titles


def test_a_session_without_faults() -> None:
    course = session_course({"entries": []}, b"", START_MS, START_MS + 9_500)
    assert session_lines(course, "PASS 5/5", 80) == [
        "Session of 9 s: PASS 5/5",
        "0 faults, 0 outages, 0 lines recovered, 0 repaired, 0 late; worst lag 0.0 s",
    ]


def test_faults_before_the_viewer_are_left_out() -> None:
    course = session_course(LOG, record(), START_MS + 18_001, START_MS + 30_000)
    assert course.faults == []


def test_only_the_newest_faults_are_listed() -> None:
    entries = []
    for number in range(30):
        one = {"name": f"f{number}", "type": "close", "at_ms": START_MS + 1_000 * number}
        entries += [{**one, "event": "began"}, {**one, "event": "ended"}]
    course = session_course({"entries": entries}, b"", START_MS, START_MS + 40_000)
    lines = session_lines(course, "PASS", 80)
    assert lines[1].startswith("30 faults")
    assert not any(line.startswith("f9 ") for line in lines)
    assert sum(line.startswith("f10 ") for line in lines) == 2
