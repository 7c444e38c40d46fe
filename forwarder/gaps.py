"""Declared gaps: what the live path missed or may have missed, until a scan has repaired it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from forwarder.journal.contract import Journal
from forwarder.records import GapRecord, ScanDone
from forwarder.scan import Scan
from wire.messages import GapState

MISSED: Final = "the live path missed events that a scan has found"
"""The reason of a gap that was repaired as it was noticed."""


class Gaps:
    """The gaps of one log group, kept in its journal; every change is told."""

    def __init__(self, journal: Journal, tell: Callable[[GapRecord], None]) -> None:
        """Keep gaps in ``journal`` and give each new state of one to ``tell``."""
        self._journal = journal
        self._tell = tell
        self._count = 0
        self._declared_at: dict[str, int] = {}

    def declare(
        self, from_: int, through: int, state: GapState, reason: str, scans_begun: int
    ) -> GapRecord:
        """Declare a gap; only a scan that begins from now on can repair it."""
        gap = self._new(from_, through, state, reason, 0)
        self._declared_at[gap.id] = scans_begun
        self._put(gap)
        return gap

    def change(self, gap_id: str, state: GapState) -> GapRecord | None:
        """Give a gap that is not repaired another state; None where there is none."""
        for gap in self._journal.gaps():
            if gap.id == gap_id:
                return self._put(replace(gap, state=state))
        return None

    def found(self, scan: Scan) -> None:
        """Declare what a scan has found that the live path had missed."""
        if scan.missed is None:
            return
        from_, through = scan.missed
        for gap in self._journal.gaps():
            if gap.state != "unrecoverable" and gap.from_ <= from_ and through <= gap.through:
                self._put(replace(gap, recovered=gap.recovered + scan.missed_count))
                return
        self._put(self._new(from_, through, "repaired", MISSED, scan.missed_count))

    def marked(self, scan: Scan, done: ScanDone) -> None:
        """What lies within a range that is proved, by a scan that began later, is repaired."""
        for gap in self._journal.gaps():
            if (
                gap.state != "unrecoverable"
                and done.from_ <= gap.from_
                and gap.through <= done.through
                and scan.number > self._declared_at.get(gap.id, 0)
            ):
                self._put(replace(gap, state="repaired"))

    def _new(
        self, from_: int, through: int, state: GapState, reason: str, recovered: int
    ) -> GapRecord:
        self._count += 1
        # The epoch is new at every start, hence so is the id.
        gap_id = f"{self._journal.epoch}.{self._count}"
        return GapRecord(gap_id, from_, through, state, reason, recovered)

    def _put(self, gap: GapRecord) -> GapRecord:
        self._journal.put_gap(gap)
        if gap.state == "repaired":
            self._declared_at.pop(gap.id, None)
        self._tell(gap)
        return gap
