from __future__ import annotations

import pytest

from tui.lines.levels import LEVELS, at_least, level_of


@pytest.mark.parametrize(
    ("message", "level"),
    [
        ("ERROR upload failed", "error"),
        ("2026-11-23 12:00:00,123 WARNING disk is nearly full", "warn"),
        ('{"level":"info","msg":"ERROR is only a word here"}', "info"),
        ('{"msg":"x","severity":"CRITICAL"}', "fatal"),
        ('{"level":50,"msg":"pino"}', "error"),
        ('{"log.level":"debug"}', "debug"),
        ("ts=1 level=warn msg=hm", "warn"),
        ("[error] 1234#0: *1 open() failed", "error"),
        ("<Notice> something", "info"),
        ("E1123 12:00:00.000000 1 main.go:1] boom", "error"),
        ("Traceback (most recent call last):\n  File", "error"),
        ("panic: runtime error: index out of range", "error"),
        ("nothing of the kind", None),
        ("an error happened, says the sentence", None),
        ("ERRORS are plural", None),
        ("MYERROR, _ERROR and ÄERROR, but WARN", "warn"),
        ("MYERROR,ERROR", "error"),
        ("level=unheard-of but [WARN] later", "warn"),
        ("", None),
        ("x" * 500 + " ERROR", None),
    ],
)
def test_levels_in_text(message: str, level: str | None) -> None:
    assert level_of(message) == level


def test_the_order_of_levels() -> None:
    assert at_least("error", "warn")
    assert not at_least("info", "warn")
    assert at_least(None, "info")
    assert not at_least(None, "warn")
    assert all(at_least(level, LEVELS[0]) for level in LEVELS)
