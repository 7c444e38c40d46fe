"""A terminal that is the same for everyone who runs the tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def same_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the terminal in which the tests run shows in what they see."""
    for name in ("NO_COLOR", "COLORFGBG", "TEXTUAL_THEME", "TEXTUAL_FILTERS", "UNICODE_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
