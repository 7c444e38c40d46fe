"""The versions that a bug report needs, as ``gapless --version`` prints them."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from common.text import escape_unprintable
from gapless import __version__
from gapless.extras import EXTRAS, has_extra

_PACKAGES = ("textual", "websockets", "botocore")
"""The packages whose version most often explains a failure."""

_TERMINAL = ("TERM", "COLORTERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION")
_INSIDE = {"TMUX": "tmux", "STY": "screen", "SSH_CONNECTION": "ssh"}
"""Programs between gapless and the terminal, by the variable that shows them."""


def versions(env: Mapping[str, str]) -> dict[str, str]:
    """Return name and version of each part, for people; imports none of the packages."""
    return {
        "gapless": __version__,
        "Python": f"{platform.python_version()} ({sys.executable})",
        **{name: _version(name) for name in _PACKAGES},
        "SQLite": sqlite3.sqlite_version,
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "terminal": describe_terminal(env, _window(), sys.stdout.encoding),
        "extras": ", ".join(name for name in EXTRAS if has_extra(name)) or "none",
    }


def describe_terminal(
    env: Mapping[str, str], window: tuple[int, int] | None, encoding: str | None
) -> str:
    """Describe the terminal in one line: type, size in cells, encoding, and what lies between."""
    named = [env[name] for name in _TERMINAL if env.get(name)] or ["no TERM"]
    size = ["not a terminal"] if window is None else [f"{window[0]}x{window[1]}"]
    between = [f"in {name}" for variable, name in _INSIDE.items() if env.get(variable)]
    parts = [" ".join(named), *size, (encoding or "no encoding").lower(), *between]
    return escape_unprintable(", ".join(parts))


def report(parts: Mapping[str, str]) -> str:
    """Lay the versions out, one a line; the first line is ``gapless`` and its version."""
    width = max(map(len, parts))
    first, *others = parts.items()
    return "\n".join([" ".join(first), *(f"{name:<{width}}  {text}" for name, text in others)])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _window() -> tuple[int, int] | None:
    try:
        columns, lines = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return None
    return columns, lines
