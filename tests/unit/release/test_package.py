from __future__ import annotations

import re
import tomllib
import zipfile

import pytest

from gapless import __version__
from release.package import (
    PACKAGES,
    ROOT,
    Built,
    build,
    find_problems,
    metadata_problems,
    sdist_problems,
    wheel_problems,
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("dist"))


def test_what_is_built_can_be_released(built: Built) -> None:
    assert find_problems(built, __version__) == []


def test_the_wheel_brings_no_dependency_of_an_extra(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith("/METADATA"))
        lines = archive.read(name).decode().splitlines()
    base = [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert len(base) == len(_project()["dependencies"])
    for one in ("moto", "aiohttp", "psycopg", "flask", "pytest"):
        assert not any(one in line for line in base)


def test_each_extra_is_part_of_all() -> None:
    extras = _project()["optional-dependencies"]
    (joined,) = extras["all"]
    named = set(joined.removeprefix("gapless[").removesuffix("]").split(","))
    assert named == extras.keys() - {"all", "dev"}


def test_missing_and_foreign_files_are_found(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = archive.namelist()
    without = [one for one in names if not one.endswith(("LICENSE", "gapless-tail.1"))]
    assert wheel_problems(without) == [
        "wheel: no share/man/man1/gapless-tail.1",
        "wheel: no licenses/LICENSE",
    ]
    strange = [*names, "tests/test_x.py", "gapless/web/xterm.js", "tui/font.ttf"]
    assert wheel_problems(strange) == [
        "wheel: tests/test_x.py does not belong into it",
        "wheel: gapless/web/xterm.js may need a licence of its own",
        "wheel: tui/font.ttf may need a licence of its own",
    ]
    assert "wheel: no package wire" in wheel_problems(
        [one for one in names if not one.startswith("wire/")]
    )


def test_incomplete_metadata_is_found() -> None:
    head = b"Metadata-Version: 2.4\nName: gapless\nVersion: 1\n"
    assert "metadata: no summary" in metadata_problems(head, "1")
    assert "metadata: version 1 instead of 2" in metadata_problems(head, "2")
    assert any("metadata: " in one for one in metadata_problems(b"Name: x y\n", "1"))


def test_an_incomplete_sdist_is_found() -> None:
    names = [f"gapless-1/{one}/x" for one in PACKAGES]
    assert "sdist: no tests" in sdist_problems(names)


def test_the_changelog_has_the_version_with_its_date() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(__version__)} - 20\d\d-\d\d-\d\d$", text, re.MULTILINE)


def _project() -> dict[str, dict[str, list[str]]]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found: dict[str, dict[str, list[str]]] = tomllib.loads(text)["project"]
    return found
