from __future__ import annotations

from pathlib import Path

import pytest

from forwarder.errors import ConfigError
from forwarder.tokens import Tokens, Verdict


def tokens(tmp_path: Path, text: str) -> Tokens:
    path = tmp_path / "tokens"
    path.write_text(text, encoding="utf-8")
    return Tokens.load(path)


@pytest.mark.parametrize(
    ("header", "group", "verdict"),
    [
        (None, "/a", "unknown"),
        ("", "/a", "unknown"),
        ("Bearer ", "/a", "unknown"),
        ("Bearer wrong-token", "/a", "unknown"),
        ("Basic everything-token", "/a", "unknown"),
        ("Bearer everything-token", "/a", "ok"),
        ("bearer  everything-token ", None, "ok"),
        ("Bearer scoped-token", "/team/x", "ok"),
        ("Bearer scoped-token", "/other", "denied"),
        ("Bearer scoped-token", None, "ok"),
        ("Bearer twice-token", "/a", "ok"),
        ("Bearer twice-token", "/b", "ok"),
        ("Bearer twice-token", "/c", "denied"),
        ("Bearer \udcff", "/a", "unknown"),
    ],
)
def test_a_token_covers_what_its_line_says(
    tmp_path: Path, header: str | None, group: str | None, verdict: Verdict
) -> None:
    text = "# all\neverything-token\n\nscoped-token /team/*\ntwice-token /a\ntwice-token /b\n"
    assert tokens(tmp_path, text).check(header, group) == verdict


@pytest.mark.parametrize("text", ["", "# nothing\n", "short\n", "a-long-token /a /b\n"])
def test_a_file_that_is_no_good(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="--token-file"):
        tokens(tmp_path, text)


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        Tokens.load(tmp_path / "missing")
