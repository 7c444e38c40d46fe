"""Runs of the simulator: a folder each, in the state directory, gone when the run is over.

A run's folder has its lifeline, its forwarder's journal, and what its ready line said, so that
``gapless inject`` finds it. A folder whose lifeline nobody holds is what a killed run left.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from common.locks import hold, is_held
from common.state import state_dir

_LEFT_AFTER_S: Final = 60.0
"""A folder younger than this may belong to a run that is just beginning."""

_READY: Final = "ready.json"
_HELD: Final = "held"


class Run(msgspec.Struct, frozen=True):
    """A run's folder."""

    folder: Path

    @property
    def lifeline(self) -> Path:
        """The file that the run holds for as long as it lasts."""
        return self.folder / _HELD

    @property
    def journal(self) -> Path:
        """Where its forwarder keeps its journal."""
        return self.folder / "journal.sqlite3"

    @property
    def clock(self) -> Path:
        """What its forwarder reads its clock's error from."""
        return self.folder / "clock"

    def announce(self, ready: Mapping[str, Any]) -> None:
        """Leave what the ready line says, for others to find."""
        text = json.dumps(dict(ready))
        draft = self.folder / f"{_READY}.new"
        draft.write_text(text, encoding="utf-8")
        draft.replace(self.folder / _READY)


@contextmanager
def run_folder() -> Iterator[Run]:
    """A new run: its folder, and a hold on its lifeline, for the length of a ``with`` block.

    Raises:
        GaplessError: the state directory can't be made.

    """
    root = state_dir("runs")
    remove_left(root, time.time())
    run = Run(Path(tempfile.mkdtemp(prefix="run-", dir=root)))
    try:
        with hold(run.lifeline, remove=True):
            yield run
    finally:
        shutil.rmtree(run.folder, ignore_errors=True)


def newest_ready() -> dict[str, Any] | None:
    """What the ready line of the simulator that was started last said; None if none runs."""
    found: list[tuple[float, dict[str, Any]]] = []
    for folder in state_dir("runs").glob("run-*"):
        if not is_held(folder / _HELD):
            continue
        try:
            path = folder / _READY
            ready = json.loads(path.read_text(encoding="utf-8"))
            found.append((path.stat().st_mtime, ready))
        except (OSError, ValueError):
            continue  # not ready yet, or just gone
    return max(found, key=lambda one: one[0])[1] if found else None


def remove_left(root: Path, now_s: float) -> None:
    """Take away the folders of runs that were killed."""
    for folder in root.glob("run-*"):
        try:
            is_young = now_s - folder.stat().st_mtime < _LEFT_AFTER_S
        except FileNotFoundError:
            continue
        if not is_young and not is_held(folder / _HELD):
            shutil.rmtree(folder, ignore_errors=True)
