"""Runs worlds by their seeds, in temporary folders."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.cluster.world import Rules, World

_MEMORY = Path("/dev/shm")


def run_seed(seed: int, rules: Rules | None = None) -> None:
    """Run one world.

    Raises:
        BrokenPromiseError: Something was lost, doubled, forked, or falsely resumed.
    """
    # In memory where that can be: a world makes six files and some more.
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        world = World(seed, Path(folder), rules)
        try:
            world.run()
        except Exception as error:
            error.add_note(f"python -m tests.cluster {seed}")
            raise
        finally:
            world.close()
