"""Opening what was chosen on the screen: another viewing after the one that ended with it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click
import msgspec

from common.errors import GaplessError
from common.running import run as run_in_loop
from gapless.identity import AwsChoice
from gapless.terminal import left_in_order

if TYPE_CHECKING:
    from gapless.viewing.watch import Viewing, Watched
    from tui.screen.choices import Catalogue, Choice


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
    from gapless.viewing.catalogue import ProcessCatalogue  # noqa: PLC0415 - with the screen
    from tui.screen.picking import PickApp  # noqa: PLC0415 - textual is slow to import

    app = PickApp(ProcessCatalogue([], choice=choice, token_file=None))
    with left_in_order():
        run_in_loop(app.run_async())
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
        from gapless.viewing.catalogue import ProcessCatalogue  # noqa: PLC0415 - with the screen

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
        from gapless.viewing.catalogue import ProcessCatalogue  # noqa: PLC0415 - with the screen

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
