"""Hatchling's hook: adds man pages and completion scripts to the wheel."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPLETIONS: Final = {
    "bash": "share/bash-completion/completions/gapless",
    "zsh": "share/zsh/site-functions/_gapless",
    "fish": "share/fish/vendor_completions.d/gapless.fish",
}
"""Where each shell looks for completion scripts, below the prefix of the installation."""

PAGES: Final = "share/man/man1"


class SharedFiles(BuildHookInterface[Any]):
    """Writes the files to a temporary folder, from which Hatchling takes them."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write and name the files; an editable installation has none."""
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory()
        sys.path.insert(0, self.root)
        try:
            files = shared_files()
        finally:
            sys.path.remove(self.root)
        for path, text in files.items():
            file = Path(self._folder.name, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            build_data["shared_data"][str(file)] = path

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the temporary folder."""
        del build_data, artifact_path
        if version != "editable":
            self._folder.cleanup()


def shared_files() -> dict[str, str]:
    """Return the text of each man page and completion script, by its path below the prefix."""
    from click.shell_completion import ShellComplete, get_completion_class  # noqa: PLC0415

    from gapless import __version__  # noqa: PLC0415 - importable once the root is on the path
    from gapless.cli import cli  # noqa: PLC0415 - likewise
    from release.man_pages import build_pages  # noqa: PLC0415 - likewise

    pages = build_pages(cli, __version__)
    files = {f"{PAGES}/{name}": text for name, text in pages.items()}
    for shell, path in COMPLETIONS.items():
        kind = get_completion_class(shell)
        assert kind is not None
        # ShellComplete's own source: bash's would run the bash of this machine to check it.
        files[path] = ShellComplete.source(kind(cli, {}, "gapless", "_GAPLESS_COMPLETE"))
    return files
