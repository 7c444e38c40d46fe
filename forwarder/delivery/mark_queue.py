"""What finished scans prove: what is still to be told to one viewer, and what to a new one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final

from msgspec.structs import replace

from forwarder.records import ScanDone

PENDING_MAX: Final = 256
"""Scans that wait for the viewer's cursor, or for its past; another comes every second."""

PROVED_MAX: Final = 128
"""Pieces of proved time that are remembered for those who connect; beyond that some are joined."""

Within = Callable[[int, int], bool]
"""Whether a range of time, ms and inclusive, may be spoken of to a viewer."""


class Marks:
    """The scans of which one viewer is owed a mark, oldest first."""

    def __init__(self) -> None:
        """None yet."""
        self._pending: list[ScanDone] = []

    def __len__(self) -> int:
        """How many wait."""
        return len(self._pending)

    def add(self, done: ScanDone) -> None:
        """Take in a finished scan.

        It takes the place of the one before if it says all that that one says; the oldest is
        never replaced, or a viewer that lags would hear of none. Dropping one does no harm: a
        mark that was not sent proves nothing, and a later scan proves its range again.
        """
        pending = self._pending
        if len(pending) > 1 and _says(done, pending[-1]):
            pending.pop()
        pending.append(done)
        if len(pending) > PENDING_MAX:
            del pending[len(pending) // 2]

    def find(self, reached: int, within: Within) -> ScanDone | None:
        """The first scan that can be told of now.

        Args:
            reached: the seq up to which the viewer has been sent everything.
            within: whether the scan's range may be spoken of.

        """
        for done in self._pending:
            if self._is_reached(done, reached) and within(done.from_, done.through):
                return done
        return None

    def _is_reached(self, done: ScanDone, reached: int) -> bool:
        """Whether the viewer has what the scan had brought by its end [10]."""
        return reached >= done.head_seq

    def told(self, done: ScanDone) -> None:
        """A mark was sent of it."""
        self._pending.remove(done)

    def clear(self) -> None:
        """Forget all: they are of another journal."""
        self._pending.clear()


class Proved:
    """The time that scans have proved, each part by the scan that was there last.

    A viewer that connects is told at once what is known, rather than after the next deep scan.
    """

    def __init__(self) -> None:
        """Nothing yet."""
        self._pieces: list[ScanDone] = []

    @property
    def pieces(self) -> list[ScanDone]:
        """Disjoint parts of what scans proved, oldest scan first."""
        return list(self._pieces)

    def add(self, done: ScanDone) -> None:
        """A scan has finished: what it proves is taken out of the older ones."""
        kept: list[ScanDone] = []
        for old in self._pieces:
            if old.through < done.from_ or done.through < old.from_:
                kept.append(old)
                continue
            if old.from_ < done.from_:
                kept.append(replace(old, through=done.from_ - 1))
            if old.through > done.through:
                kept.append(replace(old, from_=done.through + 1))
        self._pieces = [*kept, done]
        if len(self._pieces) > PROVED_MAX and not self._join():
            self._pieces.remove(min(self._pieces, key=lambda one: one.through))

    def _join(self) -> bool:
        """Make one of the two lowest pieces that adjoin; whether there are any such.

        What moves on with time leaves slivers behind, which nobody scans again after two weeks.
        Of both it is true that what a scan begun at the earlier time returned is in the journal
        at the later head.
        """
        by_time = sorted(self._pieces, key=lambda one: one.from_)
        for low, high in pairwise(by_time):
            if low.through + 1 == high.from_:
                scanned_at = min(low.scanned_at, high.scanned_at)
                both = ScanDone(
                    low.from_, high.through, scanned_at, max(low.head_seq, high.head_seq)
                )
                kept = [one for one in self._pieces if one not in (low, high)]
                self._pieces = [both, *kept]
                return True
        return False

    def clear(self) -> None:
        """Forget all: the journal is another one."""
        self._pieces.clear()


def _says(new: ScanDone, old: ScanDone) -> bool:
    """Whether a scan says all that an older one says, and later."""
    return (
        new.from_ <= old.from_ and old.through <= new.through and new.scanned_at >= old.scanned_at
    )
