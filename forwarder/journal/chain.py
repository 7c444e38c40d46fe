"""The chain of epochs: which cursors a journal may resume [4]."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from forwarder.records import EpochStart

EPOCHS_MAX: Final = 1_000
"""Epochs that a chain remembers: one a start. Cursors of older ones are rebased, which is safe."""


def new_epoch() -> str:
    """An epoch that no journal ever had: 64 random bits as hex."""
    return secrets.token_hex(8)


class Chain:
    """Epochs in order of time, each with the first seq that it may give out."""

    def __init__(
        self, links: Iterable[EpochStart] = (), make: Callable[[], str] = new_epoch
    ) -> None:
        """Go on with ``links``; ``make`` gives a new epoch that must never have been given."""
        self._links = list(links)
        self._make = make

    @property
    def links(self) -> Sequence[EpochStart]:
        """Oldest first; the last is the present one."""
        return tuple(self._links)

    @property
    def epoch(self) -> str:
        """The present epoch."""
        return self._links[-1].epoch

    def begun(self, first_seq: int) -> Chain:
        """This chain with a new epoch at its end, and without the oldest beyond the bound."""
        link = EpochStart(self._make(), first_seq)
        return Chain([*self._links, link][-EPOCHS_MAX:], self._make)

    def anew(self) -> Chain:
        """A chain of one new epoch, from seq 1."""
        return Chain([EpochStart(self._make(), 1)], self._make)

    def is_resumable(self, epoch: str, after: int, head_seq: int) -> bool:
        """Whether a cursor is of this chain.

        Its epoch is in the chain, and ``after`` is below the first seq of the epoch that
        follows it; of the present epoch nothing beyond ``head_seq`` was given out.
        """
        for index, link in enumerate(self._links):
            if link.epoch == epoch:
                last = index == len(self._links) - 1
                return after <= (head_seq if last else self._links[index + 1].first_seq - 1)
        return False
