from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from gapless.cli import COMMANDS
from release.build_hook import COMPLETIONS, PAGES, shared_files


def test_every_command_has_its_page() -> None:
    files = shared_files()
    assert f"{PAGES}/gapless.1" in files
    assert {f"{PAGES}/gapless-{name}.1" for name in COMMANDS} <= set(files)
    assert not any("tab" in path for path in files)


@pytest.mark.parametrize("shell", COMPLETIONS)
def test_completion_scripts_ask_gapless(shell: str, tmp_path: Path) -> None:
    text = shared_files()[COMPLETIONS[shell]]
    assert f"_GAPLESS_COMPLETE={shell}_complete" in text
    program = shutil.which(shell)
    if program is not None:
        script = tmp_path / "script"
        script.write_text(text, encoding="utf-8")
        subprocess.run([program, "-n", script], check=True)
