"""Lists that ``gapless … --json`` prints in a process of its own, which may be slow or hang.

The AWS SDK takes half a second to import: the caller does something else meanwhile.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final, Self

from common.processes import ERROR_PREFIX

LIST_WITHIN_S: Final = 60.0
"""Longest wait for a list; botocore itself gives up sooner."""

ROWS_MAX: Final = 20_000
"""Rows that are read; more cannot be picked from."""

_ERROR_CHARS_MAX: Final = 300


class ListError(Exception):
    """The list could not be read; the text is one line with the reason."""


class ListProcess:
    """A ``gapless`` command that prints a list, running until ``rows`` or the end of a block."""

    def __init__(self, *arguments: str) -> None:
        """Start it; ``arguments`` follow ``gapless``.

        Raises:
            ListError: it cannot be started.
        """
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                list_command(arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            msg = f"cannot start {sys.executable}: {error.strerror}"
            raise ListError(msg) from error

    def rows(self, within_s: float = LIST_WITHIN_S) -> list[dict[str, Any]]:
        """Wait for the list and return it.

        Raises:
            ListError: it failed or takes too long; the text is its own error.
        """
        try:
            out, errors = self._process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            msg = f"no answer within {within_s:g} s"
            raise ListError(msg) from None
        return parse_rows(out, errors, self._process.returncode)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


def list_command(arguments: Sequence[str]) -> list[str]:
    """Return the command line of a process that prints a list."""
    return [sys.executable, "-m", "gapless", *arguments]


def parse_rows(out: bytes, errors: bytes, code: int | None) -> list[dict[str, Any]]:
    """Return the rows that the process printed.

    Raises:
        ListError: it failed; the text is the last line that it printed on stderr.
    """
    if code:
        lines = errors.decode("utf-8", "replace").strip().splitlines()
        default = f"it ended with exit code {code}"
        text = lines[-1].removeprefix(ERROR_PREFIX) if lines else default
        raise ListError(text[:_ERROR_CHARS_MAX])
    try:
        rows = json.loads(out or b"[]")
    except ValueError:
        rows = None
    if not isinstance(rows, list):
        msg = "the answer is not a list"
        raise ListError(msg)
    return [row for row in rows[:ROWS_MAX] if isinstance(row, dict)]
