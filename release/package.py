"""Builds the source distribution and the wheel, and checks what is in them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from packaging.metadata import InvalidMetadata, Metadata

from release.build_hook import COMPLETIONS, PAGES

ROOT: Final = Path(__file__).parents[1]

PACKAGES: Final = ("common", "forwarder", "gapless", "simulator", "tui", "wire")

KINDS: Final = frozenset({".py", ".css", ".tcss", ".html", ".js", ".json", ".md", ".toml"})
"""Suffixes of the packages' files. All of them are gapless's own: a bundled file of another project
would need its licence among ``license-files``."""

OWN_SCRIPTS: Final = frozenset({"gapless/web/page.js"})
"""The only JavaScript; the rest of the page comes from the package textual-serve."""

SOURCES: Final = ("README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "pyproject.toml", "tests")
"""What a source distribution must have besides the packages."""


class Built(NamedTuple):
    """Paths of the two distributions."""

    sdist: Path
    wheel: Path


def build(folder: Path) -> Built:
    """Build both from this checkout into a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - our own build
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return Built(sdist, wheel)


def find_problems(built: Built, version: str) -> list[str]:
    """Return what is wrong with both, one line each."""
    with zipfile.ZipFile(built.wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata)
    with tarfile.open(built.sdist) as sources:
        members = sources.getnames()
    return [
        *wheel_problems(names),
        *metadata_problems(text, version),
        *sdist_problems(members),
    ]


def wheel_problems(names: Iterable[str]) -> list[str]:
    """Return what is missing in a wheel or does not belong into it."""
    paths = [PurePosixPath(name) for name in names if not name.endswith("/")]
    shared = {"/".join(one.parts[2:]) for one in paths if one.parts[0].endswith(".data")}
    wanted = {f"{PAGES}/gapless.1", f"{PAGES}/gapless-tail.1", *COMPLETIONS.values()}
    problems = [f"wheel: no {one}" for one in sorted(wanted - shared)]
    info = {"/".join(one.parts[1:]) for one in paths if one.parts[0].endswith(".dist-info")}
    problems += [
        f"wheel: no {one}" for one in ("entry_points.txt", "licenses/LICENSE") if one not in info
    ]
    code = [one for one in paths if not one.parts[0].endswith((".data", ".dist-info"))]
    problems += [f"wheel: no package {one}" for one in PACKAGES if one not in _tops(code)]
    problems += [
        f"wheel: {one} does not belong into it" for one in code if one.parts[0] not in PACKAGES
    ]
    foreign = [
        one
        for one in code
        if one.suffix not in KINDS or (one.suffix == ".js" and str(one) not in OWN_SCRIPTS)
    ]
    return [*problems, *(f"wheel: {one} may need a licence of its own" for one in foreign)]


def _tops(paths: Iterable[PurePosixPath]) -> set[str]:
    return {one.parts[0] for one in paths}


def metadata_problems(text: bytes, version: str) -> list[str]:
    """Return what a registry would refuse, or a reader would miss, in the metadata."""
    try:
        found = Metadata.from_email(text, validate=True)
    except ExceptionGroup as errors:
        return [f"metadata: {one}" for one in errors.exceptions]
    except InvalidMetadata as error:
        return [f"metadata: {error}"]
    missing = [
        f"metadata: no {name}"
        for name, value in (
            ("summary", found.summary),
            ("description", found.description),
            ("licence", found.license_expression),
            ("keywords", found.keywords),
            ("classifiers", found.classifiers),
            ("requires-python", found.requires_python),
        )
        if not value
    ]
    if found.description_content_type != "text/markdown":
        missing.append("metadata: the description is not declared as Markdown")
    if str(found.version) != version:
        missing.append(f"metadata: version {found.version} instead of {version}")
    return missing


def sdist_problems(names: Iterable[str]) -> list[str]:
    """Return what is missing in a source distribution."""
    inside = {name.partition("/")[2].partition("/")[0] for name in names}
    return [f"sdist: no {one}" for one in (*SOURCES, *PACKAGES, "release") if one not in inside]
