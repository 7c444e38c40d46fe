"""Runs ``gapless`` and records which functions of the product were executed.

``python -P recorder.py REPORTS TREE PACKAGE,PACKAGE ARGUMENT...`` runs the ``gapless`` of a tree.
Each SIGUSR2 writes the functions since the last one, as ``file:function``, to ``REPORTS/1.json``,
``2.json``, ... and starts again. The recorder knows nothing of the tree but the name of its
command, so the same one measures old and new trees.
"""

from __future__ import annotations

import inspect
import json
import runpy
import signal
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType


class Recorder:
    """Collects executed functions; module bodies do not count.

    Args:
        reports: Folder for the reports.
        tree: Only functions of files below it are reported.
        packages: Folders of the product in the tree.
    """

    def __init__(self, reports: Path, tree: Path, packages: tuple[str, ...]) -> None:
        self._reports = reports
        self._tree = tree
        self._inside = tuple(f"{tree}/{one}/" for one in packages)
        self._known: dict[str, bool] = {}
        self._called: set[CodeType] = set()
        self._written = 0

    def profile(self, frame: FrameType, event: str, argument: object) -> None:
        """Profile function of every thread: notes a function that is entered or resumed."""
        del argument
        if event == "call" and self._is_product(frame.f_code.co_filename):
            self._called.add(frame.f_code)

    def _is_product(self, file: str) -> bool:
        found = self._known.get(file)
        if found is None:
            found = self._known[file] = file.startswith(self._inside)
        return found

    def write(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: writes the functions recorded so far and starts again."""
        del number, frame
        called, self._called = self._called, set()
        # Bodies of modules and classes run once, on import, and lack this flag.
        functions = (one for one in called if one.co_flags & inspect.CO_OPTIMIZED)
        names = sorted({self._name(one) for one in functions})
        self._written += 1
        part = self._reports / f"{self._written}.part"
        part.write_text(json.dumps(names), encoding="utf-8")
        part.rename(part.with_suffix(".json"))  # never seen half-written

    def _name(self, code: CodeType) -> str:
        file = Path(code.co_filename).relative_to(self._tree).as_posix()
        return f"{file}:{code.co_qualname.partition('.<locals>')[0]}"


def main() -> None:
    """Install the recorder, then become ``gapless``."""
    reports, tree, packages, *arguments = sys.argv[1:]
    sys.path.insert(0, tree)
    sys.argv = ["gapless", *arguments]
    recorder = Recorder(Path(reports), Path(tree), tuple(packages.split(",")))
    signal.signal(signal.SIGUSR2, recorder.write)
    threading.setprofile(recorder.profile)
    sys.setprofile(recorder.profile)
    runpy.run_module("gapless", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
