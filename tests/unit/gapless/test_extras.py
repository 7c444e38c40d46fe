from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from common.errors import EXIT_USAGE
from gapless.extras import EXTRAS, has_extra

ROOT = Path(__file__).parents[3]

LEAN = """
import sys
from importlib.machinery import PathFinder
hidden = set(sys.argv.pop(1).split(","))
class Lean(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            return None
        return super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Lean
from gapless.cli import main
main()
"""
"""Runs gapless as if the modules of the first argument were not installed."""


def run_without(extra: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LEAN, ",".join(EXTRAS[extra]), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )


@pytest.mark.parametrize(
    ("extra", "command", "arguments"),
    [
        ("demo", "gapless demo", ["demo"]),
        ("demo", "gapless demo", ["demo", "--web"]),
        ("web", "gapless demo --web", ["demo", "--web"]),
        ("demo", "gapless simulate", ["simulate"]),
        ("postgresql", "gapless demo --forwarders", ["demo", "--forwarders", "3"]),
        ("postgresql", "gapless simulate --forwarders", ["simulate", "--forwarders", "3"]),
        ("demo", "gapless scenario run", ["scenario", "run", "reconnect"]),
        ("postgresql", "a journal in PostgreSQL", ["journal", "postgresql://user@localhost/logs"]),
    ],
)
def test_a_command_without_its_extra_names_the_installation(
    extra: str, command: str, arguments: list[str]
) -> None:
    done = run_without(extra, *arguments)
    assert done.returncode == EXIT_USAGE
    assert done.stdout == ""
    assert done.stderr == (
        f"gapless: {command} needs the {extra} extra: pipx install --force 'gapless[{extra}]'\n"
    )


@pytest.mark.parametrize("command", ["demo", "simulate", "scenario run", "inject", "forward"])
def test_help_works_without_any_extra(command: str) -> None:
    done = run_without("demo", *command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage:")


@pytest.mark.parametrize("arguments", [["scenario", "list"], ["inject", "--list"]])
def test_lists_need_no_extra(arguments: list[str]) -> None:
    done = run_without("demo", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "reconnect" in done.stdout


@pytest.mark.parametrize("extra", EXTRAS)
def test_modules_of_an_extra_come_from_packages_that_it_lists(extra: str) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = "\n".join(tomllib.loads(text)["project"]["optional-dependencies"][extra]).lower()
    assert has_extra(extra)
    for module in EXTRAS[extra]:
        (package,) = set(packages_distributions()[module])
        assert package.lower() in listed
