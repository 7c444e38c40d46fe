"""What there is to open, as ``gapless groups --json`` and ``gapless executions --json`` tell it.

Each is a process of its own: what speaks to AWS is slow to import, and may hang or die without
the screen noticing more than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from common.processes import PREFIX
from gapless.identity import AwsChoice
from tui.screen.choices import CatalogueError, Choice

PATIENCE_S: Final = 60.0
"""Longest that CloudWatch may take; botocore itself gives up sooner."""

CHOICES_MAX: Final = 20_000
"""Log groups or executions that are taken in; more could not be picked from."""

_ERROR_CHARS_MAX: Final = 300


class ProcessCatalogue:
    """Keeps to ``tui.screen.choices.Catalogue``."""

    def __init__(
        self,
        targets: Sequence[tuple[str, str]],
        *,
        choice: AwsChoice | None,
        token_file: Path | None,
    ) -> None:
        """Ask nothing yet.

        Args:
            targets: What is open now: as written on the command line, and what it is called.
            choice: Of the account and Region whose log groups are listed; None: of none.
            token_file: For forwarders that ask for one.

        """
        self._names = dict(targets)
        self._choice = choice
        self._token_file = token_file

    @property
    def here(self) -> Sequence[Choice]:
        """What is open now, whole."""
        return [Choice(target, None, name, "open now") for target, name in self._names.items()]

    async def groups(self) -> Sequence[Choice]:
        """The log groups of the account.

        Raises:
            CatalogueError: they could not be asked for.

        """
        if self._choice is None:
            return []
        rows = await _asked("groups", "--json", *self._choice.arguments())
        return [
            Choice(str(row["name"]), None, str(row["name"]), "log group", _moment(row, "created"))
            for row in rows
            if row.get("name") and str(row["name"]) not in self._names
        ]

    async def executions(self, target: str) -> Sequence[Choice]:
        """The executions of a target.

        Raises:
            CatalogueError: they could not be asked for.

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
                _moment(row, "last"),
            )
            for row in await _asked("executions", target, "--json", *options)
            if row.get("execution")
        ]


def _note(row: dict[str, Any]) -> str:
    status = str(row.get("status") or "UNKNOWN")
    return "execution" if status == "UNKNOWN" else status


def _moment(row: dict[str, Any], field: str) -> int | None:
    found = row.get(field)
    return found if isinstance(found, int) else None


async def _asked(*arguments: str) -> list[dict[str, Any]]:
    """What a command prints.

    Raises:
        CatalogueError: it failed, with its own words.

    """
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gapless", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        msg = f"{sys.executable} can't be started: {error.strerror}"
        raise CatalogueError(msg) from error
    try:
        async with asyncio.timeout(PATIENCE_S):
            out, errors = await process.communicate()
    except TimeoutError:
        msg = f"no answer within {PATIENCE_S:g} s"
        raise CatalogueError(msg) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        said = errors.decode("utf-8", "replace").strip().splitlines()
        text = said[-1].removeprefix(PREFIX) if said else f"it ended with {process.returncode}"
        raise CatalogueError(text[:_ERROR_CHARS_MAX])
    return _rows(out)


def _rows(out: bytes) -> list[dict[str, Any]]:
    try:
        rows = json.loads(out or b"[]")
    except ValueError as error:
        msg = "what came back is no list"
        raise CatalogueError(msg) from error
    if not isinstance(rows, list):
        msg = "what came back is no list"
        raise CatalogueError(msg)
    return [row for row in rows[:CHOICES_MAX] if isinstance(row, dict)]
