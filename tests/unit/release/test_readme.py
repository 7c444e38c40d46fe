from __future__ import annotations

from pathlib import Path

import pytest

from gapless.cli import cli
from release.readme import PORT_WORD, gapless_arguments, parse_problem, shell_commands

ROOT = Path(__file__).parents[3]
PAGES = [
    "README.md",
    "SECURITY.md",
    "forwarder/cluster/POSTGRESQL.md",
    *(str(one.relative_to(ROOT)) for one in sorted(ROOT.glob("docs/**/*.md"))),
]
PAGE = """
Some `gapless tail` in a sentence.

```sh
gapless tail /a   # a comment
# another one

  gapless tail \\
    /b
```
```json
{"not": "a command"}
```
```sh
make demo
```
"""


def test_commands_of_shell_blocks() -> None:
    assert shell_commands(PAGE) == ["gapless tail /a   # a comment", "gapless tail /b", "make demo"]


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("gapless tail '/a b' | tee x", ["tail", "/a b"]),
        ("A=1 .venv/bin/gapless groups > x", ["groups"]),
        ("gapless --help  # a comment", ["--help"]),
        ("pipx install gapless", None),
        ("export A=1", None),
        ("A=1", None),
    ],
)
def test_arguments_of_gapless(command: str, arguments: list[str] | None) -> None:
    assert gapless_arguments(command) == arguments


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["tail", "/a", "--since", "1h"], ""),
        (["scenario", "run", "all"], ""),
        (["--version"], ""),
        (["tail", "--nonsense"], "No such option"),
        (["tail", "/a", "--since", "soon"], "soon"),
        (["nonsense"], "No such command"),
        (["verify"], "Missing argument"),
        (["scenario"], "Usage"),
    ],
)
def test_a_wrong_command_line_is_found(arguments: list[str], problem: str) -> None:
    found = parse_problem(cli, arguments)
    assert problem in found if problem else not found


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_are_valid(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text(encoding="utf-8")
    for command in shell_commands(text):
        arguments = gapless_arguments(command.replace(PORT_WORD, "8765"))
        assert arguments is None or not parse_problem(cli, arguments), command
    assert shell_commands(text) or "```sh" not in text
