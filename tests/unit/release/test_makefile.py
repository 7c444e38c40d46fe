"""The Makefile says what it does while it installs, and fails where that fails."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def install(venv: Path, code: int) -> subprocess.CompletedProcess[str]:
    """Install with a ``pip`` that only says so; ``code`` is its exit code."""
    python = venv / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        "#!/bin/sh\n"
        'case "$*" in *require-hashes*) ;; *) exit 0 ;; esac\n'
        "i=0; while [ $i -lt 40 ]; do echo Collecting x; i=$((i + 1)); done\n"
        f"echo Installing collected packages: x; exit {code}\n"
    )
    python.chmod(0o755)
    return subprocess.run(
        ["make", "-s", f"{venv}/.ready", f"VENV={venv}"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_an_installation_shows_its_progress(tmp_path: Path) -> None:
    done = install(tmp_path, 0)
    assert done.returncode == 0, done.stderr
    pins = (ROOT / "requirements" / "all.txt").read_text().count("==")
    first, *fetched, unpacking, compiling, last = done.stdout.splitlines()
    assert first.startswith(f"installing {pins} pinned packages into {tmp_path}")
    assert fetched == [f"  {n} of {pins} packages fetched" for n in (20, 40)]
    assert (unpacking, last[:9]) == ("  all fetched; unpacking them ...", "installed")
    assert "compiling" in compiling
    assert (tmp_path / ".ready").exists()


@pytest.mark.parametrize("code", [1, 2])
def test_a_failed_installation_is_a_failure(tmp_path: Path, code: int) -> None:
    done = install(tmp_path, code)
    assert done.returncode != 0
    assert "installed" not in done.stdout.splitlines()[-1]
    assert not (tmp_path / ".ready").exists()
