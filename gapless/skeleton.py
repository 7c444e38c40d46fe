"""A first picture for ``gapless tail ws://…``, before what draws the screen has been imported.

That takes a quarter of a second, in which a person would look at an empty terminal. Plain text,
without a colour: no theme and no ``NO_COLOR`` is offended. Whoever prints anything instead of
the screen calls ``leave`` first.
"""

from __future__ import annotations

import gc
import os
import select
import sys
from collections.abc import Mapping, Sequence
from typing import Final

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J"
_LEAVE: Final = "\x1b[?1049l\x1b[?25h"

_NO_SCREEN: Final = ("--output", "--no-follow", "--help", "-h")
"""Options with which there is none."""

_is_shown: list[int] = []
"""The terminal's descriptor, while the picture stands."""


def begin(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Draw the picture, where these arguments will come to a screen."""
    target = _target(arguments)
    if target is None or environ.get("TERM", "dumb") == "dumb":
        return
    try:
        descriptor = sys.stdout.fileno()
        if not (os.isatty(descriptor) and os.isatty(sys.stdin.fileno())):
            return
        if not _takes(descriptor):
            return
        size = os.get_terminal_size(descriptor)
        text = picture(target, size.columns or 80, size.lines or 24)
        os.write(descriptor, text.encode())
    except (OSError, ValueError):
        return  # no terminal to draw on: what comes will say so, if it matters
    _is_shown.append(descriptor)
    # What is imported from here on stays: going over it again and again takes a tenth of the
    # time to the first frame. The screen has garbage collected again, in its own way.
    gc.disable()


def _takes(descriptor: int) -> bool:
    """Whether a terminal takes anything now: one on hold (Ctrl+S) would hold the program, too.

    The screen's own terminal mode knows no such hold, and ends it.
    """
    return bool(select.select([], [descriptor], [], 0)[1])


def leave() -> None:
    """Give the terminal back as it was, if the picture stands."""
    if _is_shown:
        gc.enable()
    while _is_shown:
        try:
            os.write(_is_shown.pop(), _LEAVE.encode())
        except OSError:
            return


def hand_over() -> None:
    """The screen draws from now on, leaves the terminal in order itself, and collects garbage."""
    _is_shown.clear()


def picture(target: str, columns: int, lines: int) -> str:
    """What is drawn: what is watched at the top, the most important key at the bottom."""
    name = "".join(char if char.isascii() and char.isprintable() else "?" for char in target)
    top = f" gapless  {name}  starting"[: max(0, columns)]
    return f"{_ENTER}{top}\x1b[{max(1, lines)};1H{' q quit'[: max(0, columns)]}"


def _target(arguments: Sequence[str]) -> str | None:
    """The forwarder that is to be watched on a screen; None where it will be none."""
    if not arguments or arguments[0] != "tail":
        return None
    if any(one.split("=")[0] in _NO_SCREEN for one in arguments):
        return None
    found = [one for one in arguments[1:] if one.startswith(("ws://", "wss://"))]
    return found[0] if found else None
