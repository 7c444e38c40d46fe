"""Ends the PostgreSQL servers of a simulation, and deletes their files, however it has ended.

Servers leave the session of the process that starts them, so they would survive its SIGKILL.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Final

from common.locks import call_when_released
from simulator.programs.postgres import PID_FILE, continue_server, kill_server

PAUSED: Final = "paused-"
"""Begin of the names of files with the id of a stopped process, which can't end by itself."""

TRIES: Final = 50
PAUSE_S: Final = 0.1
"""A server that is ending may still write files; it takes milliseconds."""


def main(argv: list[str] | None = None) -> int:
    """Wait for the lifeline's end, and remove what is in the folder; SIGTERM ends the wait."""
    parser = argparse.ArgumentParser(prog="python -m simulator.programs.remover")
    parser.add_argument("--while-held", type=Path, required=True)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(argv)
    released = threading.Event()
    call_when_released(options.while_held, released.set)
    print(json.dumps({"ready": True}), flush=True)  # noqa: T201 - the ready line
    released.wait()
    remove(options.folder)
    return 0


def remove(folder: Path) -> None:
    """End every server in a folder at once, and each process noted there; delete the folder."""
    for path in folder.glob(f"{PAUSED}*"):
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(path.read_text()), signal.SIGKILL)
    pause = threading.Event()
    for _ in range(TRIES):
        for path in folder.glob(f"*/{PID_FILE}"):
            kill_server(path.parents[1], signal.SIGQUIT)
            # A fault may have stopped it.
            continue_server(path.parents[1])
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        pause.wait(PAUSE_S)


if __name__ == "__main__":
    raise SystemExit(main())
