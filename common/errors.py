"""Exit codes, and the errors that end a command with one line on stderr."""

from __future__ import annotations

from typing import Final


class SimulatorError(Exception):
    """The simulator, or a request to it, can't do what was asked; the text is one line."""


EXIT_DONE: Final = 0
EXIT_FAILURE: Final = 1
EXIT_USAGE: Final = 2
EXIT_CANNOT_CONNECT: Final = 3
EXIT_INCOMPLETE: Final = 4
EXIT_FAILED: Final = 5
"""The execution that was watched ended as FAILED."""
EXIT_STOPPED: Final = 6
"""The execution that was watched ended as STOPPED."""
EXIT_INTERRUPTED: Final = 130
"""Ctrl+C (SIGINT); another signal gives 128 + its number likewise, as shells have it."""


class GaplessError(Exception):
    """What ends a command: one line for a person, and the exit code.

    The line says what was tried, what came back and what to do about it.
    """

    exit_code: int = EXIT_FAILURE

    def __init__(self, text: str, exit_code: int | None = None) -> None:
        """Keep the text on one line; ``exit_code`` where it is not the class's own."""
        super().__init__(" ".join(text.split()))
        if exit_code is not None:
            self.exit_code = exit_code


class CannotConnectError(GaplessError):
    """Whatever the command needs at the other end can't be reached."""

    exit_code = EXIT_CANNOT_CONNECT


class UsageError(GaplessError):
    """An argument that can't be meant."""

    exit_code = EXIT_USAGE


class EndedBySignalError(BaseException):
    """A signal asked the command to end; not an ``Exception``, as KeyboardInterrupt is none."""

    def __init__(self, number: int) -> None:
        """``number`` is the signal's."""
        super().__init__(number)
        self.exit_code = 128 + number
