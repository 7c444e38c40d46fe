"""The terminal: messages and progress on stderr, the first picture, and leaving it in order."""

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
from typing import Final, Self

from common.text import escape_unprintable

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J"
_LEAVE: Final = "\x1b[?1049l\x1b[?25h"

_NO_SCREEN: Final = ("--output", "--format", "--no-follow", "--help", "-h")
"""Options of ``tail`` that show no screen, beside ``-o``, whose value may follow at once."""

RESET: Final = (
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l"  # the mouse
    "\x1b[?1004l"  # focus reports
    "\x1b[?2004l"  # bracketed paste
    "\x1b[?2026l"  # held-back drawing
    "\x1b[<u"  # the keyboard protocol of kitty
    "\x1b[?7h"  # wrapping
    "\x1b[?1049l"  # the alternate screen
    "\x1b[?25h"  # the cursor
    "\x1b[0m"  # colours
)
"""Undoes what a screen application switches on; a terminal ignores sequences it does not know."""

_Attributes = list[int | list[bytes | int]]
"""Terminal attributes, as ``termios`` has them."""

_shown_on: list[int] = []
"""Descriptor of the terminal that shows the first picture; empty if there is none."""


def say(text: str) -> None:
    """Print a message as one line on stderr, without control characters.

    A closed stderr is no error.
    """
    line = escape_unprintable(" ".join(text.split()))
    erase_first_picture()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"gapless: {line}\n")
        sys.stderr.flush()


def is_dumb(environ: Mapping[str, str]) -> bool:
    """Whether the terminal says that it moves no cursor and has no colours, as editors' do."""
    return environ.get("TERM") == "dumb"


class StatusLine:
    """One line on stderr that is overwritten, and erased at the end; silent without a terminal."""

    def __init__(self) -> None:
        self.is_terminal = sys.stderr.isatty() and not is_dumb(os.environ)
        self._is_shown = False

    def show(self, text: str) -> None:
        """Replace the line by another text."""
        if self.is_terminal:
            self._write(f"\r{escape_unprintable(text)}\x1b[K")
            self._is_shown = True

    def clear(self) -> None:
        """Erase the line."""
        if self._is_shown:
            self._write("\r\x1b[K")
            self._is_shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.clear()

    @staticmethod
    def _write(text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # the terminal may be closed
            sys.stderr.write(text)
            sys.stderr.flush()


@contextlib.contextmanager
def restored_terminal() -> Iterator[None]:
    """Restore the terminal after the block, also if the screen in it died with an exception."""
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
    with contextlib.suppress(OSError, termios.error):  # the terminal may be closed
        descriptor, attributes = saved
        termios.tcsetattr(descriptor, termios.TCSADRAIN, attributes)


def _reset(saved: tuple[int, _Attributes] | None) -> None:
    with contextlib.suppress(OSError, ValueError):  # the terminal may be closed
        if sys.__stdout__ is not None and sys.__stdout__.isatty():
            os.write(sys.__stdout__.fileno(), RESET.encode())
    _restore(saved)


def draw_first_picture(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Draw a first picture if these arguments lead to a screen (``gapless tail ws://…``).

    Importing what draws the screen takes a quarter of a second, in which the terminal would be
    empty. The picture is plain text without colours, so no theme and no ``NO_COLOR`` matters.
    """
    url = _url_on_screen(arguments)
    if url is None or environ.get("TERM", "dumb") == "dumb":
        return
    try:
        descriptor = sys.stdout.fileno()
        if not (os.isatty(descriptor) and os.isatty(sys.stdin.fileno())):
            return
        if not _is_writable(descriptor):
            return
        size = os.get_terminal_size(descriptor)
        text = first_picture(url, size.columns or 80, size.lines or 24)
        os.write(descriptor, text.encode())
    except (OSError, ValueError):
        return  # no terminal to draw on: later code reports it, if it matters
    _shown_on.append(descriptor)
    # All that is imported from here on stays: collecting over and over takes a tenth of the time
    # to the first frame. The screen sets up collection in its own way.
    gc.disable()


def first_picture(url: str, columns: int, lines: int) -> str:
    """Return the picture: the target at the top, the most important key at the bottom."""
    name = "".join(char if char.isascii() and char.isprintable() else "?" for char in url)
    top = f" gapless  {name}  starting"[: max(0, columns)]
    return f"{_ENTER}{top}\x1b[{max(1, lines)};1H{' q quit'[: max(0, columns)]}"


def erase_first_picture() -> None:
    """Restore the terminal's screen if the first picture is shown; before printing anything."""
    if _shown_on:
        gc.enable()
    while _shown_on:
        try:
            os.write(_shown_on.pop(), _LEAVE.encode())
        except OSError:
            return


def hand_over_terminal() -> None:
    """Leave the first picture to the screen, which restores the terminal itself."""
    _shown_on.clear()


def _is_writable(descriptor: int) -> bool:
    """Return whether a terminal takes output now: one stopped by Ctrl+S would block the program.

    The screen's own terminal mode has no such stop, and ends it.
    """
    return bool(select.select([], [descriptor], [], 0)[1])


def _url_on_screen(arguments: Sequence[str]) -> str | None:
    """Return the forwarder's URL to show on a screen; None if there will be no screen."""
    if not arguments or arguments[0] != "tail":
        return None
    if any(one.split("=")[0] in _NO_SCREEN or one.startswith("-o") for one in arguments):
        return None
    found = [one for one in arguments[1:] if one.startswith(("ws://", "wss://"))]
    return found[0] if found else None


def when_reader_leaves(descriptor: int, then: Callable[[], None]) -> None:
    """Call ``then`` in a thread once the other end of a pipe is closed, as ``| head`` does.

    Without it a quiet log would keep the viewer running: only its next write would fail. Does
    nothing for a file or a terminal.
    """
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return

    def wait() -> None:
        poll = select.poll()
        # Errors and hang-ups are always reported; asking for readiness would report it at once.
        poll.register(descriptor, 0)
        poll.poll()
        then()

    threading.Thread(target=wait, name="reader", daemon=True).start()
