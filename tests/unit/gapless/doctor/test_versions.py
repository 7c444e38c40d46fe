from __future__ import annotations

import re
import sqlite3
from importlib.metadata import version

import pytest

from gapless import __version__
from gapless.cli import run
from gapless.doctor.versions import describe_terminal, report


def test_version_prints_each_part_of_a_bug_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"gapless {__version__}"
    parts = dict(re.split(r"\s{2,}|(?<=Textual)\s", line, maxsplit=1) for line in lines[1:])
    assert parts["SQLite"] == sqlite3.sqlite_version
    assert parts["textual"] == version("textual")
    assert parts["websockets"] == version("websockets")
    assert parts["botocore"] == version("botocore")
    assert parts["extras"] == "demo, web, postgresql"
    assert parts["terminal"].endswith("not a terminal, utf-8")
    assert {"Python", "platform"} <= set(parts)


@pytest.mark.parametrize(
    ("env", "window", "encoding", "text"),
    [
        ({}, None, None, "no TERM, not a terminal, no encoding"),
        ({"TERM": "xterm", "TMUX": "/x,1"}, (80, 24), "utf-8", "xterm, 80x24, utf-8, in tmux"),
        (
            {"TERM": "a\x1b[m", "COLORTERM": "truecolor", "STY": "", "SSH_CONNECTION": "1"},
            (1, 2),
            "ascii",
            "a\\x1b[m truecolor, 1x2, ascii, in ssh",
        ),
    ],
)
def test_the_terminal_in_one_line(
    env: dict[str, str], window: tuple[int, int] | None, encoding: str | None, text: str
) -> None:
    assert describe_terminal(env, window, encoding) == text


def test_versions_stand_below_each_other() -> None:
    assert report({"gapless": "1", "a": "2", "platform": "3"}) == (
        "gapless 1\na         2\nplatform  3"
    )
