"""Log lines that stay one line each, and plain text, whatever is in them."""

from __future__ import annotations

import logging


def harmless(text: str) -> str:
    r"""A text in which nothing moves a cursor or ends a line: as ``\n``, ``\x1b`` and the like.

    Names and error texts come from other machines; a log that can be forged is none.
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class OneLine(logging.Formatter):
    """A formatter whose messages are harmless; tracebacks are of our own code, and stay."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """The line of a record."""
        record.message = harmless(record.message)
        return super().formatMessage(record)
