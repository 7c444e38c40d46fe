"""The clipboard: tmux's, which passes it on, or the terminal's, which answers nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import Final

from common.concurrency import in_thread

_TMUX_S: Final = 2.0
"""Longest wait for tmux."""


def is_in_tmux() -> bool:
    """Whether the screen is drawn by tmux, which keeps OSC 52 for itself unless it is allowed."""
    return bool(os.environ.get("TMUX"))


async def copy(text: str, send: Callable[[str], None]) -> str:
    """Copy a text; returns where it went.

    Args:
        text: The text.
        send: Sends it to the terminal (OSC 52), if there is no tmux, or tmux refuses it.
    """
    if is_in_tmux() and await in_thread(lambda: _load_into_tmux(text), name="tmux"):
        return "copied to tmux and its terminal"
    send(text)
    return "sent to the terminal"


def _load_into_tmux(text: str) -> bool:
    """Load tmux's buffer; with -w (tmux 3.2), tmux sets the terminal's clipboard, too."""
    command = ["tmux", "load-buffer", "-w", "-"]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            command, input=text.encode(), capture_output=True, timeout=_TMUX_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
