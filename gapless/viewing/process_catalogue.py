"""The log groups and executions that the screen offers to open.

Each list comes from a ``gapless groups --json`` or ``gapless executions --json`` process: the
AWS SDK is slow to import, and may hang or crash there without harm to the screen.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from common.processes import ERROR_PREFIX
from gapless.aws import AwsChoice
from tui.screen.ports import CatalogueError, Choice

LIST_WITHIN_S: Final = 60.0
"""Longest wait for a list; botocore itself gives up sooner."""

CHOICES_MAX: Final = 20_000
"""Log groups or executions that are offered; more cannot be picked from."""

_ERROR_CHARS_MAX: Final = 300


class ProcessCatalogue:
    """Lists log groups and executions; implements ``tui.screen.ports.Catalogue``."""

    def __init__(
        self,
        targets: Sequence[tuple[str, str]],
        *,
        choice: AwsChoice | None,
        token_file: Path | None,
    ) -> None:
        """List nothing yet.

        Args:
            targets: The open targets: as written on the command line, and their names.
            choice: Account and Region whose log groups are listed; None: no log groups.
            token_file: For forwarders that require a token.
        """
        self._names = dict(targets)
        self._choice = choice
        self._token_file = token_file

    @property
    def open_now(self) -> Sequence[Choice]:
        """The open targets, with all executions."""
        return [Choice(target, None, name, "open now") for target, name in self._names.items()]

    async def groups(self) -> Sequence[Choice]:
        """List the log groups of the account that are not open.

        Raises:
            CatalogueError: the list could not be read.
        """
        if self._choice is None:
            return []
        rows = await _list("groups", "--json", *self._choice.arguments())
        return [
            Choice(str(row["name"]), None, str(row["name"]), "log group", _time(row, "created"))
            for row in rows
            if row.get("name") and str(row["name"]) not in self._names
        ]

    async def executions(self, target: str) -> Sequence[Choice]:
        """List the executions of a target.

        Raises:
            CatalogueError: the list could not be read.
        """
        options = [] if self._choice is None else self._choice.arguments()
        if self._token_file is not None:
            options += ["--token-file", str(self._token_file)]
        name = self._names.get(target, target)
        return [
            Choice(
                target,
                str(row["execution"]),
                f"{name} {row['execution']}",
                _note(row),
                _time(row, "last"),
            )
            for row in await _list("executions", target, "--json", *options)
            if row.get("execution")
        ]


def _note(row: dict[str, Any]) -> str:
    status = str(row.get("status") or "UNKNOWN")
    return "execution" if status == "UNKNOWN" else status


def _time(row: dict[str, Any], field: str) -> int | None:
    found = row.get(field)
    return found if isinstance(found, int) else None


async def _list(*arguments: str) -> list[dict[str, Any]]:
    """Run a ``gapless`` command and return the rows that it prints.

    Raises:
        CatalogueError: it failed; the text is its own error.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gapless", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        msg = f"cannot start {sys.executable}: {error.strerror}"
        raise CatalogueError(msg) from error
    try:
        async with asyncio.timeout(LIST_WITHIN_S):
            out, errors = await process.communicate()
    except TimeoutError:
        msg = f"no answer within {LIST_WITHIN_S:g} s"
        raise CatalogueError(msg) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        lines = errors.decode("utf-8", "replace").strip().splitlines()
        default = f"it ended with exit code {process.returncode}"
        text = lines[-1].removeprefix(ERROR_PREFIX) if lines else default
        raise CatalogueError(text[:_ERROR_CHARS_MAX])
    return _rows(out)


def _rows(out: bytes) -> list[dict[str, Any]]:
    try:
        rows = json.loads(out or b"[]")
    except ValueError:
        rows = None
    if not isinstance(rows, list):
        msg = "the answer is not a list"
        raise CatalogueError(msg)
    return [row for row in rows[:CHOICES_MAX] if isinstance(row, dict)]
