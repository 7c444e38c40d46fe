"""The terminal closes without SIGHUP."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.processes.gapless_processes import clean_environment, wait_until
from tests.support.processes.process_tree import family, wait_gone, wait_unlocked

pytestmark = pytest.mark.timeout(600)


def test_a_closed_terminal_ends_the_demo_without_a_signal(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    # In another session, closing the terminal sends no SIGHUP, as if a parent ignored it.
    process = subprocess.Popen(
        [sys.executable, "-m", "gapless", "demo"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**clean_environment(tmp_path), "TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(slave)
    seen = b""
    while b"COMPLETE" not in seen:
        seen += os.read(master, 65_536)
    everything: list[psutil.Process] = family(process.pid)
    assert len(everything) == 4
    os.close(master)
    wait_until(lambda: process.poll() is not None, "the end of the demo")
    wait_gone(everything)
    wait_unlocked(tmp_path)
