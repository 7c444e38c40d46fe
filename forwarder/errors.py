"""The forwarder's errors: each is one line that tells a person what to do."""

# ruff: noqa: N818 - the names say what happened, as the SDK's own do
from __future__ import annotations

from typing import ClassVar


class ForwarderError(Exception):
    """What stops the forwarder, or one of its requests; its text is one line for a person.

    Attributes:
        exit_code: what the command ends with when the error ends it (design, "command line").

    """

    exit_code: ClassVar[int] = 1

    def __init__(self, text: str) -> None:
        """Fold whatever the text holds into one line."""
        super().__init__(" ".join(text.split()))


class JournalError(ForwarderError):
    """The journal can't be opened, read or written; nothing that it holds was changed."""


class EventError(ForwarderError):
    """CloudWatch (or what stands in for it) gave an event that the protocol has no place for."""
