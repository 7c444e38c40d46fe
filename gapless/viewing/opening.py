"""Opening what was chosen on the screen: another viewing after the one that ended with it.

What there is to open, as ``gapless groups --json`` and ``gapless executions --json`` tell it.

Each is a process of its own: what speaks to AWS is slow to import, and may hang or die without
the screen noticing more than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import click
import msgspec

from common.errors import GaplessError
from common.processes import ERROR_PREFIX
from common.signals import run_until_signal
from gapless.settings import AwsChoice
from gapless.terminal import left_in_order
from tui.screen.ports import CatalogueError, Choice

if TYPE_CHECKING:
    from tui.screen.ports import Catalogue


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """A target as the engine has it: a forwarder that runs by now."""

    url: str
    name: str
    group: str | None = None
    key: str
    """What a saved cursor of it is found by: stays the same when the port does not."""
    executions: tuple[str, ...] | None = None
    """Of this target alone; None: those of the viewing."""
    note: str = ""
    """What a person is to know of it from the start."""


class Viewing(msgspec.Struct, frozen=True, kw_only=True):
    """What to watch and how to show it; times in ms since the Unix epoch."""

    targets: tuple[Watched, ...]
    executions: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    lines: int | None = None
    capacity: int | None = None
    """Lines kept in memory; None: the timeline's own default."""
    grep: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    level: str | None = None
    output: Literal["text", "json", "raw"] | None = None
    order: Literal["strict", "arrival"] = "strict"
    hold: int = 10_000
    record: Path | None = None
    follow: bool = True
    resume: bool | None = None
    """Go on where the last viewer was; None: on screen, where no other beginning is asked for."""
    color: Literal["auto", "always", "never"] = "auto"
    token: str | None = None
    title: str = ""
    notify: Literal["off", "bell", "osc9", "osc777"] = "off"
    notice: str = ""
    """What is told as soon as there is a screen."""
    in_browser: bool = False
    """Whether it is drawn by a browser, which standard input and output are packets for."""
    control: str | None = None
    """The control URL of the simulator whose faults the screen's keys switch."""

    @property
    def is_on_screen(self) -> bool:
        """Whether there is something to draw on, and no other output was asked for."""
        if self.in_browser:
            return True
        return self.output is None and self.follow and sys.stdout.isatty() and sys.stdin.isatty()

    @property
    def goes_on(self) -> bool:
        """Whether to go on at a saved cursor, if there is one."""
        if self.resume is None:
            return self.is_on_screen and self.since is None and self.control is None
        return self.resume


class Opener(Protocol):
    """Knows what there is, and opens it."""

    def catalogue(self, viewing: Viewing) -> Catalogue:
        """What there is to open from here."""

    def open(self, viewing: Viewing, chosen: Sequence[Choice]) -> AbstractContextManager[Viewing]:
        """What was chosen, as a viewing like another one, for as long as it is watched.

        Raises:
            GaplessError: it can't be opened.

        """


def on_and_on(
    viewing: Viewing,
    opener: Opener | None,
    show: Callable[[Viewing], int | tuple[Choice, ...]],
) -> int:
    """Show one viewing after the other, until one ends with an exit code.

    What can't be opened is told on the screen that it was chosen on.
    """
    with ExitStack() as before:
        while True:
            outcome = show(viewing)
            if isinstance(outcome, int):
                return outcome
            assert opener is not None, "without a catalogue there is nothing to choose"
            after = ExitStack()
            try:
                with _told(f"opening {', '.join(dict.fromkeys(one.name for one in outcome))} …"):
                    viewing = after.enter_context(opener.open(viewing, outcome))
            except GaplessError as error:
                viewing = msgspec.structs.replace(viewing, notice=str(error))
                continue
            # Only now is what was open before let go: what both watch goes on running.
            before.close()
            before.enter_context(after)


@contextlib.contextmanager
def _told(text: str) -> Iterator[None]:
    """Say on the terminal what is being done, and take it back."""
    said = text if text.isprintable() else "opening …"
    is_terminal = sys.stderr.isatty()
    if is_terminal:
        click.echo(said, err=True, nl=False)
    try:
        yield
    finally:
        if is_terminal:
            click.echo("\r\x1b[K", err=True, nl=False)


def pick(choice: AwsChoice) -> tuple[Choice, ...]:
    """What is picked of an account's log groups and their executions; nothing where it is left."""
    from tui.screen.theme import PickerApp  # noqa: PLC0415 - textual is slow to import

    app = PickerApp(ProcessCatalogue([], choice=choice, token_file=None))
    with left_in_order():
        run_until_signal(app.run_async())
    return app.chosen


def by_target(chosen: Sequence[Choice]) -> dict[str, tuple[str, ...]]:
    """The executions that were chosen of each target; none where the whole of it was."""
    found: dict[str, list[str | None]] = {}
    for choice in chosen:
        found.setdefault(choice.target, []).append(choice.execution)
    return {
        target: () if None in executions else tuple(one for one in executions if one is not None)
        for target, executions in found.items()
    }


class SameOpener:
    """Of the targets that are open, whole or only some executions: what ``demo`` has."""

    def __init__(self, viewing: Viewing) -> None:
        """Whatever is chosen is of the targets of this viewing."""
        self._first = viewing

    def catalogue(self, viewing: Viewing) -> Catalogue:  # noqa: ARG002 - the protocol's
        """The executions of the targets."""
        targets = [(one.url, one.name) for one in self._first.targets]
        return ProcessCatalogue(targets, choice=None, token_file=None)

    @contextlib.contextmanager
    def open(self, viewing: Viewing, chosen: Sequence[Choice]) -> Iterator[Viewing]:
        """The same targets, less of them."""
        wanted = by_target(chosen)
        targets = [
            msgspec.structs.replace(one, executions=wanted[one.url] or None)
            for one in self._first.targets
            if one.url in wanted
        ]
        yield _reopened(viewing, self._first, targets)


class TargetOpener:
    """Anything that ``tail`` takes."""

    def __init__(
        self,
        viewing: Viewing,
        open_target: Callable[[ExitStack, str], Watched],
        choice: AwsChoice,
        token_file: Path | None,
    ) -> None:
        """Whatever is chosen is watched like the first viewing.

        Args:
            viewing: The first.
            open_target: Has a target served, for as long as the stack stands.
            choice: Of the account and Region whose log groups are listed.
            token_file: For forwarders that ask for one.

        """
        self._first = viewing
        self._open_target = open_target
        self._choice = choice
        self._token_file = token_file

    def catalogue(self, viewing: Viewing) -> Catalogue:
        """Log groups, and the executions of what is open."""
        targets = [(_written(one), one.name) for one in viewing.targets]
        return ProcessCatalogue(targets, choice=self._choice, token_file=self._token_file)

    @contextlib.contextmanager
    def open(self, viewing: Viewing, chosen: Sequence[Choice]) -> Iterator[Viewing]:
        """Each target served, by a forwarder of its own where there is none."""
        with ExitStack() as stack:
            targets = [
                msgspec.structs.replace(
                    self._open_target(stack, target), executions=executions or None
                )
                for target, executions in by_target(chosen).items()
            ]
            yield _reopened(viewing, self._first, targets)


def _written(watched: Watched) -> str:
    """A target as it is written on the command line."""
    if watched.group is not None and watched.key.startswith("own:"):
        return watched.group
    return watched.url


def _reopened(viewing: Viewing, first: Viewing, targets: Sequence[Watched]) -> Viewing:
    """Another viewing of the same kind; a choice stands for what the command line had named.

    An execution is watched from its beginning, and its end does not end the viewer: whoever
    chose it may choose another one.
    """
    return msgspec.structs.replace(
        viewing,
        targets=tuple(targets),
        executions=(),
        streams=(),
        prefixes=(),
        since=None if any(one.executions for one in targets) else first.since,
        title="",
        notice="",
    )


PATIENCE_S: Final = 60.0
"""Longest that CloudWatch may take; botocore itself gives up sooner."""

CHOICES_MAX: Final = 20_000
"""Log groups or executions that are taken in; more could not be picked from."""

_ERROR_CHARS_MAX: Final = 300


class ProcessCatalogue:
    """Keeps to ``tui.screen.ports.Catalogue``."""

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
    def open_now(self) -> Sequence[Choice]:
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
        text = (
            said[-1].removeprefix(ERROR_PREFIX) if said else f"it ended with {process.returncode}"
        )
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
