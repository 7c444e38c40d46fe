"""Lists what can be opened from a screen, and opens what the user picks there.

Each list comes from a ``gapless groups --json`` or ``gapless executions --json`` process: the
AWS SDK is slow to import, and may hang or crash there without harm to the screen.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Protocol

import msgspec

from common.errors import GaplessError
from gapless.aws import AwsChoice
from gapless.targets.grammar import label_choices, split_label
from gapless.targets.listing import LIST_WITHIN_S, ListError, list_command, parse_rows
from gapless.terminal import StatusLine, restored_terminal
from gapless.viewing.model import Viewing, WatchedPattern, WatchedTarget
from gapless.viewing.sources import Opened
from tui.screen.ports import Catalogue, CatalogueError, Choice


class Opener(Protocol):
    """Lists what can be opened from a screen, and opens it."""

    def catalogue(self, viewing: Viewing) -> Catalogue:
        """Return what can be opened from this viewing."""

    def open(self, viewing: Viewing, chosen: Sequence[Choice]) -> AbstractContextManager[Viewing]:
        """Open the choices as another viewing, for the length of a ``with`` block.

        Raises:
            GaplessError: they cannot be opened.
        """


def show_in_turn(
    viewing: Viewing, opener: Opener | None, show: Callable[[Viewing], int | tuple[Choice, ...]]
) -> int:
    """Show one viewing after the other, until one ends with an exit code.

    If the choices cannot be opened, the screen that they were made on returns with the error.
    Each writes a record of its own: ``incident.ndjson``, ``incident-2.ndjson`` and so on.
    """
    record, number = viewing.record, 1
    with ExitStack() as before:
        while True:
            shown = show(viewing)
            if isinstance(shown, int):
                return shown
            assert opener is not None, "without a catalogue nothing can be chosen"
            after = ExitStack()
            names = ", ".join(dict.fromkeys(one.name for one in shown))
            try:
                with StatusLine() as status:
                    status.show(f"opening {names} …")
                    viewing = after.enter_context(opener.open(viewing, shown))
            except GaplessError as error:
                viewing = msgspec.structs.replace(viewing, notice=str(error))
            else:
                # Closed only now: a forwarder that both viewings watch keeps running.
                before.close()
                before.enter_context(after)
            # On a screen in use, an error that ends it would come as a surprise.
            viewing = msgspec.structs.replace(viewing, gives_up=False)
            if record is not None:
                number += 1
                following = record.with_stem(f"{record.stem}-{number}")
                viewing = msgspec.structs.replace(viewing, record=following)


def pick_targets(choices: Sequence[AwsChoice]) -> tuple[Choice, ...]:
    """Let the user pick log groups and executions; empty if the user quits."""
    from tui.screen.terminal import run_screen  # noqa: PLC0415 - with the next one
    from tui.screen.theme import PickerApp  # noqa: PLC0415 - textual is slow to import

    app = PickerApp(ProcessCatalogue([], choices=choices, token_file=None))
    with restored_terminal():
        run_screen(app.run_async())
    return app.chosen


def executions_by_target(chosen: Sequence[Choice]) -> dict[str, tuple[str, ...]]:
    """Group the chosen executions by target; empty where the whole target was chosen."""
    found: dict[str, list[str | None]] = {}
    for choice in chosen:
        found.setdefault(choice.target, []).append(choice.execution)
    return {
        target: () if None in executions else tuple(one for one in executions if one is not None)
        for target, executions in found.items()
    }


class ProcessCatalogue:
    """Lists log groups and executions; implements ``tui.screen.ports.Catalogue``.

    Args:
        targets: The open targets: as written on the command line, and their names.
        choices: Accounts and Regions whose log groups are listed.
        token_file: For forwarders that require a token.
    """

    def __init__(
        self,
        targets: Sequence[tuple[str, str]],
        *,
        choices: Sequence[AwsChoice],
        token_file: Path | None,
    ) -> None:
        self._names = dict(targets)
        self._choices = choices
        self._token_file = token_file
        self._places: set[tuple[str, str]] = set()

    @property
    def open_now(self) -> Sequence[Choice]:
        """The open targets, with all executions."""
        return [Choice(target, None, name, "open now") for target, name in self._names.items()]

    @property
    def place(self) -> str:
        """The account and Region whose log groups were listed; empty before."""
        accounts, regions = (
            sorted({one for one in part if one})
            for part in (
                (account for account, _ in self._places),
                (region for _, region in self._places),
            )
        )
        names = [f"account{'s' if accounts[1:] else ''} {', '.join(accounts)}"] if accounts else []
        return ", ".join([*names, *regions])

    async def groups(self) -> Sequence[Choice]:
        """List the log groups of the account that are not open.

        Raises:
            CatalogueError: the list could not be read.
        """
        labels = label_choices(self._choices)
        lists = await asyncio.gather(
            *(_list("groups", "--json", *choice.arguments()) for choice in labels)
        )
        self._places = {
            (str(row["account"] or row.get("profile") or ""), str(row["region"] or ""))
            for rows in lists
            for row in rows
            if "account" in row and "region" in row
        }
        names = [
            f"{label}:{row['name']}" if label else str(row["name"])
            for label, rows in zip(labels.values(), lists, strict=True)
            for row in rows
            if row.get("name")
        ]
        return [Choice(name, None, name) for name in names if name not in self._names]

    async def last_events(self) -> Mapping[str, int]:
        """Read the times of the last events of the log groups, ms, by target.

        Raises:
            CatalogueError: they could not be read.
        """
        labels = label_choices(self._choices)
        lists = await asyncio.gather(
            *(_list("groups", "--last-event", "--json", *choice.arguments()) for choice in labels)
        )
        return {
            f"{label}:{row['name']}" if label else str(row["name"]): last_ms
            for label, rows in zip(labels.values(), lists, strict=True)
            for row in rows
            if row.get("name") and (last_ms := _time(row, "last_event")) is not None
        }

    async def executions(self, target: str) -> Sequence[Choice]:
        """List the executions of a target.

        Raises:
            CatalogueError: the list could not be read.
        """
        written, choices = split_label(target, self._choices)
        options = choices[0].arguments() if choices else []
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
            for row in await _list("executions", written, "--json", *options)
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
            *list_command(arguments),
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
    try:
        return parse_rows(out, errors, process.returncode)
    except ListError as error:
        raise CatalogueError(str(error)) from error


class SameTargetsOpener:
    """Offers the targets of the first viewing, or executions of them: for ``demo``."""

    def __init__(self, first: Viewing) -> None:
        """``first`` is the viewing whose targets are offered."""
        self._first = first

    def catalogue(self, viewing: Viewing) -> Catalogue:  # noqa: ARG002 - the protocol's
        """Return the targets' executions."""
        targets = [(one.url, one.name) for one in self._first.targets]
        return ProcessCatalogue(targets, choices=(), token_file=None)

    @contextlib.contextmanager
    def open(self, viewing: Viewing, chosen: Sequence[Choice]) -> Iterator[Viewing]:
        """Narrow the targets to the choices."""
        wanted = executions_by_target(chosen)
        targets = [
            msgspec.structs.replace(one, executions=wanted[one.url] or None)
            for one in self._first.targets
            if one.url in wanted
        ]
        yield _reopened(viewing, self._first, targets)


class NameOpener(Protocol):
    """Opens what the picker names."""

    @property
    def choices(self) -> Sequence[AwsChoice]:
        """The accounts and Regions whose log groups are offered."""

    def open_name(self, stack: ExitStack, text: str) -> Opened:
        """Open a log group, pattern or forwarder until the stack is closed.

        Raises:
            GaplessError: It matches nothing, or a forwarder cannot be started.
        """


class AnyTargetOpener:
    """Offers the account's log groups, and executions of what is open: for ``tail``.

    Args:
        first: The first viewing; later ones are shown like it.
        targets: Finds log groups, and starts or finds their forwarders.
        token_file: For forwarders that require a token.
    """

    def __init__(self, first: Viewing, targets: NameOpener, token_file: Path | None) -> None:
        self._first = first
        self._targets = targets
        self._token_file = token_file

    def catalogue(self, viewing: Viewing) -> Catalogue:
        """Return the account's log groups, and the executions of the open targets."""
        targets = [(_as_argument(one), one.name) for one in viewing.targets]
        return ProcessCatalogue(targets, choices=self._targets.choices, token_file=self._token_file)

    @contextlib.contextmanager
    def open(self, viewing: Viewing, chosen: Sequence[Choice]) -> Iterator[Viewing]:
        """Open each target, with a forwarder of its own if none is running."""
        with ExitStack() as stack:
            targets: dict[str, WatchedTarget] = {}
            patterns: list[WatchedPattern] = []
            notices: list[str] = []
            for target, executions in executions_by_target(chosen).items():
                opened = self._targets.open_name(stack, target)
                patterns += opened.patterns
                notices += [opened.notice] if opened.notice else []
                for one in opened.targets:
                    targets[one.key] = msgspec.structs.replace(one, executions=executions or None)
            reopened = _reopened(viewing, self._first, list(targets.values()))
            yield msgspec.structs.replace(
                reopened, patterns=tuple(patterns), notice=" · ".join(notices)
            )


def _as_argument(target: WatchedTarget) -> str:
    """Return the target as the command line or the picker names it."""
    if target.group is None or not target.is_own:
        return target.url
    return target.group if target.group.startswith("arn:") else target.name


def _reopened(viewing: Viewing, first: Viewing, targets: Sequence[WatchedTarget]) -> Viewing:
    """Return ``viewing`` with the chosen targets, without its filters by execution and stream.

    A log group is shown from the ``since`` of the ``first`` viewing, an execution from its
    beginning. The end of the execution does not end the viewer: the user may pick another one.
    """
    return msgspec.structs.replace(
        viewing,
        targets=tuple(targets),
        patterns=(),
        executions=(),
        streams=(),
        prefixes=(),
        since=None if any(one.executions for one in targets) else first.since,
        title="",
        notice="",
    )
