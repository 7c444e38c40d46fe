from __future__ import annotations

import logging

import pytest

from common.text import OneLine, harmless

FORGED = "x\r\n2026-01-01 CRITICAL all is well\x1b[2J\x9b31m\u2028\u202e\x00"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 世 text", "plain é 世 text"),
        ("a\nb\r\n", r"a\nb\r\n"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("\u2028\u202e\x85", r"\u2028\u202e\x85"),
        ("\ud800", r"\ud800"),
    ],
)
def test_nothing_moves_a_cursor_or_ends_a_line(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_a_name_can_not_forge_a_line() -> None:
    record = logging.LogRecord("n", logging.WARNING, "p", 1, "%s: gone", (FORGED,), None)
    line = OneLine("%(levelname)s %(message)s").format(record)
    assert line.startswith(r"WARNING x\r\n2026-01-01 CRITICAL")
    assert line.isprintable()
