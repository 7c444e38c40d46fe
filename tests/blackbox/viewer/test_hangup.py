"""The terminal closes, without SIGHUP or while job control has stopped the viewer."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.processes.gapless_processes import WAIT_S, clean_environment, wait_until
from tests.support.processes.process_tree import family, wait_gone, wait_unlocked

_IN_BACKGROUND = """
import fcntl, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
print("pid", subprocess.Popen([sys.executable, *sys.argv[1:]], process_group=0).pid, flush=True)
sys.stdin.read()
"""
"""Runs a command in the background of its terminal, as ``timeout`` does: it may not draw there."""

pytestmark = pytest.mark.timeout(600)


def start(*arguments: str, state: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Run Python on a terminal in a session of its own; returns it and our end of the terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**clean_environment(state), "TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(slave)
    return process, master


def test_a_closed_terminal_ends_the_demo_without_a_signal(tmp_path: Path) -> None:
    # In another session, closing the terminal sends no SIGHUP, as if a parent ignored it.
    process, master = start("-m", "gapless", "demo", state=tmp_path)
    seen = b""
    while b"COMPLETE" not in seen:
        seen += os.read(master, 65_536)
    everything: list[psutil.Process] = family(process.pid)
    assert len(everything) >= 4, "viewer, simulator, CloudWatch and forwarder"
    os.close(master)
    wait_until(lambda: process.poll() is not None, "the end of the demo")
    wait_gone(everything)
    wait_unlocked(tmp_path)


def test_a_terminal_that_closes_while_the_demo_is_stopped_ends_it(tmp_path: Path) -> None:
    shell, master = start("-c", _IN_BACKGROUND, "-m", "gapless", "demo", state=tmp_path)
    seen = b""
    while (found := re.search(rb"pid (\d+)\r\n", seen)) is None:  # what it draws may come first
        seen += os.read(master, 100)
    demo = psutil.Process(int(found[1]))
    wait_until(lambda: demo.status() == psutil.STATUS_STOPPED, "the demo stopped by its terminal")
    everything = family(demo.pid)
    assert everything[1:], "it is stopped before it has started anything"
    os.close(master)
    shell.wait(WAIT_S)
    wait_gone(everything)
    wait_unlocked(tmp_path)
