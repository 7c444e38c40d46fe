"""The rows that scans return again and again, in memory: which ids are known, which surely not."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from heapq import nlargest
from typing import Final

from forwarder.records import Known

GENERATION_MAX: Final = 50_000
"""Rows of a generation, of which there are two: together about 30 MB."""

_OUTLIERS: Final = 500
"""The greatest ids of a generation that outlive it: those of events stamped ahead of the clock."""

_Rank = tuple[int, str]


class Recent:
    """A bounded part of a journal's ids. Above a certain id, what is not here is nowhere.

    CloudWatch's ids grow with time, so that an id which is greater than all that were dropped
    is new, without asking the disk. Where ids are not like that, the disk is asked.
    """

    def __init__(self, greatest: str | None) -> None:
        """Start empty, beside a journal whose greatest id is ``greatest``."""
        self._young: dict[str, Known] = {}
        self._old: dict[str, Known] = {}
        self._dropped: _Rank = (0, "") if greatest is None else _rank(greatest)

    def split(self, ids: Collection[str]) -> tuple[dict[str, Known], list[str]]:
        """What is known of ``ids`` here, and those of which only the disk knows."""
        young, old, (length, greatest) = self._young, self._old, self._dropped
        found = {}
        unknown = []
        for one in ids:
            known = young.get(one) or old.get(one)
            if known is not None:
                found[one] = known
            elif len(one) < length or (len(one) == length and one <= greatest):
                unknown.append(one)
        return found, unknown

    def add(self, rows: Iterable[tuple[str, Known]]) -> None:
        """Remember rows that have their bodies: new ones, or old ones that were asked for."""
        self._young.update(rows)
        if len(self._young) > GENERATION_MAX:
            dropped = self._old
            self._old, self._young = self._young, {}
            ranks = nlargest(_OUTLIERS + 1, map(_rank, dropped))
            if len(ranks) > _OUTLIERS:
                self._dropped = max(self._dropped, ranks.pop())
            self._old |= {one: dropped[one] for _, one in ranks if one not in self._old}

    def forget(self, ids: Iterable[str]) -> None:
        """Leave rows to the disk, because there is news of them."""
        for one in ids:
            known = self._young.pop(one, None) or self._old.pop(one, None)
            if known is not None:
                self._old.pop(one, None)
                self._dropped = max(self._dropped, _rank(one))


def _rank(event_id: str) -> _Rank:
    """Compares as the numbers do, which have no leading zeros."""
    return len(event_id), event_id
