"""The terminal, left as it was found, whatever happened in between.

A first picture for ``gapless tail ws://…``, before what draws the screen has been imported.

That takes a quarter of a second, in which a person would look at an empty terminal. Plain text,
without a colour: no theme and no ``NO_COLOR`` is offended. Whoever prints anything instead of
the screen calls ``leave`` first.

Whether anybody still reads what is printed: ``| head`` leaves, and says so to nobody.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import stat
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from common.text import escape_unprintable


def say(text: str) -> None:
    """Tell a person something, as one line on stderr; nobody may be left to read it.

    Names and errors come from other machines: nothing in them moves a cursor.
    """
    line = escape_unprintable(" ".join(text.split()))
    leave()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"gapless: {line}\n")
        sys.stderr.flush()


RESET: Final = (
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l"  # the mouse
    "\x1b[?1004l"  # news of the focus
    "\x1b[?2004l"  # bracketed paste
    "\x1b[?2026l"  # held-back drawing
    "\x1b[<u"  # the keyboard protocol of kitty
    "\x1b[?7h"  # wrapping
    "\x1b[?1049l"  # the other screen
    "\x1b[?25h"  # the cursor
    "\x1b[0m"  # colours
)
"""Undoes what a screen application switches on; a terminal ignores what it does not know."""

_Attributes = list[int | list[bytes | int]]
"""As ``termios`` has them."""


@contextlib.contextmanager
def left_in_order() -> Iterator[None]:
    """Give the terminal back as it was, also where the screen in it died with an exception."""
    saved = _attributes()
    try:
        yield
    except BaseException:
        _reset(saved)
        raise
    _restore(saved)


def _attributes() -> tuple[int, _Attributes] | None:
    with contextlib.suppress(OSError, ValueError, termios.error):
        descriptor = sys.stdin.fileno()
        if os.isatty(descriptor):
            attributes: _Attributes = termios.tcgetattr(descriptor)
            return descriptor, attributes
    return None


def _restore(saved: tuple[int, _Attributes] | None) -> None:
    if saved is None:
        return
    with contextlib.suppress(OSError, termios.error):  # the terminal may be gone
        descriptor, attributes = saved
        termios.tcsetattr(descriptor, termios.TCSADRAIN, attributes)


def _reset(saved: tuple[int, _Attributes] | None) -> None:
    with contextlib.suppress(OSError, ValueError):  # likewise
        if sys.__stdout__ is not None and sys.__stdout__.isatty():
            os.write(sys.__stdout__.fileno(), RESET.encode())
    _restore(saved)


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


def when_reader_leaves(descriptor: int, then: Callable[[], None]) -> None:
    """Call ``then``, from a thread of its own, once the other end of a pipe is closed.

    Without it a quiet log would keep a viewer running for nobody: only the next write would
    tell. Does nothing for a file or a terminal.
    """
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return

    def wait() -> None:
        poll = select.poll()
        # Errors and hang-ups are told whether asked for or not; readiness would be told always.
        poll.register(descriptor, 0)
        poll.poll()
        then()

    threading.Thread(target=wait, name="reader", daemon=True).start()
