"""The container image: its parts exist, and its start script hands the tokens over.

``make container`` builds the image and runs it, which takes minutes and the registries.
"""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tests.support.container_image import CONTAINERFILE, PROJECT, parse

START: Final = PROJECT / "deploy" / "container-start"

SHOW: Final = """#!/bin/sh
for one in "$@"; do printf '<%s>' "$one"; done
echo
stat --format %a "$GAPLESS_TOKEN_FILE"
cat "$GAPLESS_TOKEN_FILE"
env | grep -c '^GAPLESS_TOKENS=' || true
"""


def test_what_the_image_copies_exists() -> None:
    build, final = parse(CONTAINERFILE.read_text())
    sources = [
        one for stage, paths, _ in (*build.copies, *final.copies) if not stage for one in paths
    ]
    assert "deploy/container-start" in sources
    assert [one for one in sources if not (PROJECT / one).exists()] == []
    assert [(stage, paths) for stage, paths, _ in final.copies if stage] == [
        (build.name, ["/opt/gapless"])
    ]


def test_the_image_has_all_packages_of_the_wheel() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    packages = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    build, _ = parse(CONTAINERFILE.read_text())
    copied = [one for _, paths, _ in build.copies for one in paths]
    assert set(packages) <= set(copied)


def test_the_image_runs_as_an_unprivileged_user() -> None:
    *_, final = parse(CONTAINERFILE.read_text())
    assert final.values("USER") == ["gapless"]
    assert final.values("ENTRYPOINT") == [f'["{START.name}"]']


def run_start(tmp_path: Path, *arguments: str, **variables: str) -> list[str]:
    program = tmp_path / "gapless"
    program.write_text(SHOW)
    program.chmod(0o700)
    return subprocess.run(
        [START, *arguments],
        check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "GAPLESS_STATE_DIR": str(tmp_path), **variables},
        stdout=subprocess.PIPE,
        text=True,
        timeout=30,
    ).stdout.splitlines()


def test_tokens_of_the_environment_become_a_private_file(tmp_path: Path) -> None:
    shown = run_start(tmp_path, "/ecs/*", "/a b", GAPLESS_TOKENS="one /ecs/*\ntwo *")
    assert shown == ["<forward></ecs/*></a b>", "600", "one /ecs/*", "two *", "0"]


def test_a_token_file_of_the_environment_stays(tmp_path: Path) -> None:
    file = tmp_path / "own"
    file.write_text("mine\n")
    file.chmod(0o400)
    shown = run_start(tmp_path, GAPLESS_TOKEN_FILE=str(file))
    assert shown == ["<forward>", "400", "mine", "0"]


def test_an_instruction_before_the_first_stage_is_an_error() -> None:
    with pytest.raises(ValueError, match="RUN stands before the first FROM"):
        parse("# a comment\nRUN true\nFROM base\n")
