"""Exit codes, and the errors that end a command with one line on stderr."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXIT_DONE: Final = 0
EXIT_FAILURE: Final = 1
EXIT_USAGE: Final = 2
EXIT_CANNOT_CONNECT: Final = 3
EXIT_INCOMPLETE: Final = 4
EXIT_FAILED: Final = 5
"""The watched execution ended as FAILED."""
EXIT_STOPPED: Final = 6
"""The watched execution ended as STOPPED."""
EXIT_INTERRUPTED: Final = 130
"""Ctrl+C (SIGINT); any other signal gives 128 + its number, as in a shell."""


EXIT_CODES: Final[Mapping[int, str]] = {
    EXIT_DONE: "Done. With --no-follow or --execution: everything is there.",
    EXIT_FAILURE: "A failure.",
    EXIT_USAGE: "An argument, option or setting is not valid, or an extra is not installed.",
    EXIT_CANNOT_CONNECT: "The forwarder or CloudWatch could not be reached.",
    EXIT_INCOMPLETE: "Something is missing; it is named on standard error.",
    EXIT_FAILED: "The watched execution ended as FAILED.",
    EXIT_STOPPED: "The watched execution ended as STOPPED.",
    EXIT_INTERRUPTED: "Ctrl+C; any other signal gives 128 + its number.",
}
"""What each exit code means, for help and man pages."""


class GaplessError(Exception):
    """Ends a command: one line for a person, and the exit code.

    The line says what was tried, what came back and what to do about it.
    """

    exit_code: int = EXIT_FAILURE

    def __init__(self, text: str, exit_code: int | None = None) -> None:
        """Join the text to one line; ``exit_code`` replaces the one of the class."""
        super().__init__(" ".join(text.split()))
        if exit_code is not None:
            self.exit_code = exit_code


class CannotConnectError(GaplessError):
    """The other end (forwarder, simulator) cannot be reached."""

    exit_code = EXIT_CANNOT_CONNECT


class UsageError(GaplessError):
    """An argument, option or setting is not valid."""

    exit_code = EXIT_USAGE


class MissingExtraError(UsageError):
    """A command needs packages that only an extra of gapless installs."""

    def __init__(self, what: str, extra: str) -> None:
        """``what`` needs the packages of ``extra``.

        Without --force, pipx would leave an installation without the extra as it is.
        """
        super().__init__(f"{what} needs the {extra} extra: pipx install --force 'gapless[{extra}]'")


class EndedBySignalError(SystemExit):
    """A signal asked the command to end.

    A signal handler may raise it anywhere. An event loop passes SystemExit and KeyboardInterrupt
    on, whichever callback they arise in; any other exception would only be logged.
    """

    def __init__(self, number: int) -> None:
        """``number`` is the signal's."""
        self.exit_code = exit_code_of_signal(number)
        super().__init__(self.exit_code)


def exit_code_of_signal(number: int) -> int:
    """Exit code of a command that a signal ended, as a shell reports it."""
    return 128 + number
