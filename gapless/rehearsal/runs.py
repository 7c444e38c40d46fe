"""Runs of the simulator: each has a folder in the state directory, deleted at its end.

The folder holds the run's lifeline, its forwarder's journal and its ready line, so that
``gapless inject`` finds the run. A folder whose lifeline is not held is left from a killed run.
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

from common.files import read_regular, replace_file
from common.locks import hold, is_held
from common.state import state_dir

_MIN_AGE_S: Final = 60.0
"""A younger folder may belong to a run that is just starting."""

_READY: Final = "ready.json"
_HELD: Final = "held"


class SimulatorRun(msgspec.Struct, frozen=True):
    """The folder of a run."""

    folder: Path

    @property
    def lifeline(self) -> Path:
        """The file that the run holds as long as it lasts."""
        return self.folder / _HELD

    @property
    def journal(self) -> Path:
        """The journal of its forwarder."""
        return self.folder / "journal.sqlite3"

    def views(self, number: int) -> Path:
        """The folder of a forwarder's copies of a shared journal."""
        return self.folder / f"views-{number}"

    @property
    def clock(self) -> Path:
        """The file with the error of its forwarder's clock."""
        return self.folder / "clock"

    def announce(self, ready: Mapping[str, Any]) -> None:
        """Write the ready line to the folder, so that other commands find the run."""
        with replace_file(self.folder / _READY) as file:
            file.write(json.dumps(dict(ready)).encode())


@contextmanager
def run_folder() -> Iterator[SimulatorRun]:
    """Make a run's folder and hold its lifeline, for the length of a ``with`` block.

    Raises:
        GaplessError: the state directory cannot be made.
    """
    root = state_dir("runs")
    remove_leftovers(root, time.time())
    run = SimulatorRun(Path(tempfile.mkdtemp(prefix="run-", dir=root)))
    try:
        with hold(run.lifeline, remove=True):
            yield run
    finally:
        shutil.rmtree(run.folder, ignore_errors=True)


def newest_ready() -> dict[str, Any] | None:
    """Return the ready line of the running simulator that was started last; None without one."""
    found: list[tuple[float, dict[str, Any]]] = []
    for folder in state_dir("runs").glob("run-*"):
        if not is_held(folder / _HELD):
            continue
        try:
            path = folder / _READY
            ready = json.loads(read_regular(path))
            found.append((path.stat().st_mtime, ready))
        except (OSError, ValueError):
            continue  # not ready yet, or just ended
    return max(found, key=lambda one: one[0])[1] if found else None


def remove_leftovers(root: Path, now_s: float) -> None:
    """Delete the folders of runs that were killed."""
    for folder in root.glob("run-*"):
        try:
            is_young = now_s - folder.stat().st_mtime < _MIN_AGE_S
        except FileNotFoundError:
            continue
        if not is_young and not is_held(folder / _HELD):
            shutil.rmtree(folder, ignore_errors=True)
