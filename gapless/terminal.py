"""The terminal, left as it was found, whatever happened in between."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
from collections.abc import Iterator
from typing import Final

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
