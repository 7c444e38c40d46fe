"""What the terminal and the machine say about themselves: glyphs, colours, time zone."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_COLLECTIONS: Final = (5_000, 50, 20)
"""New objects before the youngest are gone over, which takes half a millisecond; and so on."""

_PLAIN_TERMINALS: Final = frozenset({"linux", "dumb", "vt100", "vt102", "vt220"})
_PLAIN_LOCALES: Final = frozenset({"C", "POSIX"})
_LIGHT_GROUNDS: Final = frozenset({"7", "15"})


def calm_collector() -> None:
    """Look for garbage less often, and never again among what is there now.

    A collector that goes over a large heap is the longest stall that a viewer has (77 ms in the
    prototype); what the viewer drops is freed by reference counts anyway.
    """
    gc.collect()
    gc.freeze()
    gc.enable()  # whoever began with a picture of its own has put it off until now
    gc.set_threshold(*_COLLECTIONS)


def give_back_memory() -> None:
    """Have the C library give free pages back: it keeps those between pages that are in use."""
    with contextlib.suppress(OSError, AttributeError):  # only glibc has it, and only it needs it
        ctypes.CDLL(None).malloc_trim(0)


def is_ascii_only(environ: Mapping[str, str] = os.environ, encoding: str | None = None) -> bool:
    """Whether the terminal can draw no more than ASCII."""
    written = encoding or sys.stdout.encoding or "ascii"
    # Python writes UTF-8 in the C locale, too (PEP 540), but who names it means it.
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG")
    is_plain = locale in _PLAIN_LOCALES or environ.get("TERM", "") in _PLAIN_TERMINALS
    return is_plain or "utf" not in written.lower()


def is_light(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal has a light ground, as ``COLORFGBG`` tells (rxvt, Konsole, iTerm2)."""
    return environ.get("COLORFGBG", "").rpartition(";")[2] in _LIGHT_GROUNDS


def local_zone(environ: Mapping[str, str] = os.environ) -> tzinfo:
    """The machine's time zone, with its changes over the year where its name can be found."""
    name = environ.get("TZ", "").lstrip(":")
    if not name:
        place = str(Path("/etc/localtime").resolve())
        name = place.partition("/zoneinfo/")[2]
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return datetime.now(UTC).astimezone().tzinfo or UTC
