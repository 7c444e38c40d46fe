"""What there is to open, and what of it a few typed letters mean. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import msgspec

SHOWN_MAX: Final = 1_000
"""Choices that are listed at once; who has more types a few letters."""

_PREFIX: Final = 100


class Choice(msgspec.Struct, frozen=True):
    """A log group or a forwarder, whole or one execution of it."""

    target: str
    """As it is written on the command line."""
    execution: str | None
    """None: all of them."""
    name: str
    """What is searched and shown."""
    note: str = ""
    """What else there is to say of it."""
    newest_ms: int | None = None
    """When it last had news, as far as that is known; ms since the Unix epoch."""


class CatalogueError(Exception):
    """What there is could not be found out; the text is one line and says why."""


class Catalogue(Protocol):
    """Finds out what there is to open. The viewer knows no AWS: it is handed an object."""

    @property
    def here(self) -> Sequence[Choice]:
        """The targets that are open now, whole."""

    async def groups(self) -> Sequence[Choice]:
        """The log groups.

        Raises:
            CatalogueError: they could not be asked for.

        """

    async def executions(self, target: str) -> Sequence[Choice]:
        """The executions of a target.

        Raises:
            CatalogueError: they could not be asked for.

        """


def ranked(choices: Iterable[Choice], typed: str) -> list[Choice]:
    """What a few letters mean, best first; of the equally good the newest first.

    Each word that was typed must occur in the name, if need be with others between its letters.
    """
    words = typed.casefold().split()
    found: list[tuple[int, int, Choice]] = []
    for choice in choices:
        scores = [_score(choice.name.casefold(), word) for word in words]
        if None not in scores:
            total = sum(score for score in scores if score is not None)
            found.append((total, choice.newest_ms or 0, choice))
    found.sort(key=lambda one: (-one[0], -one[1], one[2].name))
    return [choice for *_, choice in found[:SHOWN_MAX]]


def _score(name: str, word: str) -> int | None:
    """How well a word fits: a piece of the name best, at the beginning of a part of it better."""
    at = name.find(word)
    if at >= 0:
        begins = at == 0 or not name[at - 1].isalnum()
        return 3 * _PREFIX if begins else 2 * _PREFIX
    at = -1
    gaps = 0
    for char in word:
        before, at = at, name.find(char, at + 1)
        if at < 0:
            return None
        gaps += at - before - 1
    return max(1, _PREFIX - gaps)
