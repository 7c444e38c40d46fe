"""The extras of the package: commands that need one say so before they do anything else."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from common.errors import MissingExtraError

EXTRAS: Final[dict[str, tuple[str, ...]]] = {
    "demo": ("moto", "flask", "flask_cors", "werkzeug"),
    "web": ("aiohttp", "textual_serve"),
    "postgresql": ("psycopg",),
}
"""Modules that each extra brings; the packages are in pyproject.toml."""


def has_extra(extra: str) -> bool:
    """Look whether the modules of an extra are installed, without importing any."""
    return all(find_spec(module) is not None for module in EXTRAS[extra])


def require_extra(command: str, extra: str) -> None:
    """Check that a command can run.

    Raises:
        MissingExtraError: the extra is not installed.
    """
    if not has_extra(extra):
        raise MissingExtraError(command, extra)
