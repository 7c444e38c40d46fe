"""``python -m release.check``: builds a release, installs it as users do, and tries it out.

For each Python from 3.11 on that this machine has, lean and with each extra; then the commands of
the README. Every failure is a line, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gapless import __version__
from gapless.extras import EXTRAS
from release.installation import find_faults, install
from release.package import ROOT, Built, build, find_problems
from release.rehearsal import named_groups, prepare_installers, rehearse
from release.sandbox import sandbox

OLDEST: Final = (3, 11)
NEWEST: Final = (3, 19)
_VARIANTS: Final = ("", *EXTRAS, "all")


def find_pythons() -> dict[str, Path]:
    """Find the usable Pythons on the path and among those of pyenv, one for each version."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found: dict[str, Path] = {}
    for minor in range(OLDEST[1], NEWEST[1]):
        name = f"python{OLDEST[0]}.{minor}"
        on_path = shutil.which(name)
        candidates = [*([Path(on_path)] if on_path else []), *pyenv.glob(f"versions/*/bin/{name}")]
        usable = [one for one in candidates if _has_venv(one)]
        if usable:
            found[f"{OLDEST[0]}.{minor}"] = usable[0]
    return found


def _has_venv(python: Path) -> bool:
    command = [str(python), "-c", "import ensurepip, venv"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a release; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m release.check", description=__doc__)
    parser.add_argument("--python", action="append", help="only this version, such as 3.12")
    parser.add_argument("--extra", action="append", choices=[*_VARIANTS, "lean"], help="only this")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", help="another page")
    parser.add_argument("--only", choices=["package", "install", "readme"], help="only this part")
    parser.add_argument("--out", type=Path, help="keep the distributions in this folder")
    given = parser.parse_args(arguments)
    faults: list[str] = []
    with tempfile.TemporaryDirectory(prefix="gapless-release-") as folder:
        work = Path(folder)
        out = given.out or work / "dist"
        shutil.rmtree(out, ignore_errors=True)
        built = build(out)
        faults += _report("package", find_problems(built, __version__))
        if given.only in (None, "install"):
            extras = ["" if one == "lean" else one for one in given.extra or _VARIANTS]
            faults += _check_installations(built, work, given.python, extras)
        if given.only in (None, "readme"):
            faults += _check_readme(built, work, given.readme)
    _say(f"{len(faults)} failures" if faults else "the release can go out")
    return 1 if faults else 0


def _check_installations(
    built: Built, work: Path, versions: Sequence[str] | None, extras: Sequence[str]
) -> list[str]:
    faults: list[str] = []
    pythons = find_pythons()
    for version in versions or pythons:
        if version not in pythons:
            faults += _report(f"Python {version}", ["not found"])
            continue
        for extra in extras:
            one = install(pythons[version], built.wheel, extra, work / "environment")
            with sandbox(work / f"{version}-{extra or 'lean'}") as place:
                found = list(find_faults(one, place))
            size = f"{one.packages} packages, {one.megabytes:.0f} MB"
            faults += _report(f"{one.name}: {size}", found)
    return faults


def _check_readme(built: Built, work: Path, page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    faults: list[str] = []
    with sandbox(work / "readme", sorted(named_groups(text))) as place:
        tools = prepare_installers(place, built.wheel, is_clone=".venv/bin/" in text)
        for one in rehearse(text, place, tools):
            if one.skipped:
                _say(f"skip  {one.command}  ({one.skipped})")
            else:
                found = [one.fault] if one.fault else []
                faults += _report(f"{one.command}  ({one.took_s:.0f} s)", found)
    return faults


def _report(what: str, faults: Sequence[str]) -> list[str]:
    _say(f"{'FAIL' if faults else 'ok  '}  {what}", *(f"      {one}" for one in faults))
    return [*faults]


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
