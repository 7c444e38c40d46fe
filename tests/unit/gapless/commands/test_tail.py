from __future__ import annotations

from pathlib import Path

import pytest

from gapless import cli
from gapless.commands import tail
from tui.lines.rows import LEVELS


def test_the_levels_are_the_viewer_s() -> None:
    assert tail.LEVELS == LEVELS


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give a TARGET"),
        (["http://127.0.0.1"], "begins with http://"),
        (["ws://127.0.0.1", "--grep", "("], "is not a regular expression"),
        (["ws://127.0.0.1", "--since", "tomorrow"], "is not a time"),
        (["ws://127.0.0.1", "--level", "loud"], "--level"),
        (["ws://127.0.0.1", "--lines", "-1"], "--lines"),
        (["ws://127.0.0.1", "--token-file", "/no/such/file"], "cannot read the token file"),
        (["ws://127.0.0.1", "--endpoint-url", "moto"], "is not a URL"),
        (["ws://127.0.0.1", "--record", "/no/such/folder/record"], "cannot write the record"),
        (["ws://127.0.0.1", "--order", "random"], "--order"),
    ],
)
def test_mistakes(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path))
    assert cli.run(["tail", *arguments]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
