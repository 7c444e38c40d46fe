"""A first picture for ``gapless tail ws://…``, before what draws the screen has been imported.

That takes a quarter of a second, in which a person would look at an empty terminal. Plain text,
without a colour: no theme and no ``NO_COLOR`` is offended. Whoever prints anything instead of
the screen calls ``leave`` first.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J"
_LEAVE: Final = "\x1b[?1049l\x1b[?25h"

_BARS_ABOVE: Final = 1
_BARS: Final = 3
"""Rows that are not the log's: one at the top, two at the bottom."""

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
        size = os.get_terminal_size(descriptor)
        text = picture(target, size.columns or 80, size.lines or 24)
        os.write(descriptor, text.encode())
    except (OSError, ValueError):
        return  # no terminal to draw on: what comes will say so, if it matters
    _is_shown.append(descriptor)


def leave() -> None:
    """Give the terminal back as it was, if the picture stands."""
    while _is_shown:
        try:
            os.write(_is_shown.pop(), _LEAVE.encode())
        except OSError:
            return


def stands() -> bool:
    """Whether the picture is on the screen."""
    return bool(_is_shown)


def size() -> tuple[int, int]:
    """Columns and rows that there are for lines of the log: between the bars.

    Raises:
        OSError: the terminal is gone.

    """
    found = os.get_terminal_size(_is_shown[0])
    return found.columns or 80, max(0, (found.lines or 24) - _BARS)


def fill(lines: Sequence[str]) -> None:
    """Draw the first lines of the log, harmless ones, from the top of their place.

    Raises:
        OSError: the terminal is gone.

    """
    text = "".join(f"\x1b[{at};1H{line}" for at, line in enumerate(lines, _BARS_ABOVE + 1))
    data = text.encode("utf-8", "replace")
    while data:
        data = data[os.write(_is_shown[0], data) :]


def hand_over() -> None:
    """The screen draws from now on, and leaves the terminal in order itself."""
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
