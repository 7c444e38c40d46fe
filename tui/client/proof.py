"""What of the time is proved complete, what is known to be missing, and the T that follows. Pure.

Green through T: marks with equal count and digest cover ``[since, T]`` without a hole, and no gap
in it is unrecoverable or lost. Everything here errs on the side of not green.
"""

from __future__ import annotations

from typing import Final

import msgspec

from common.ranges import RangeSet
from tui.client.status import GapStatus, LostRange, UnprovedRange
from wire.limits import TIMESTAMP_MAX
from wire.messages import Gap, Lost

REPAIRED_KEPT: Final = 100
"""Repaired gaps that stay in the list; the rest is history."""

GAPS_MAX: Final = 10_000
"""Gaps that are told apart; the oldest beyond them only keep their ranges from being green."""

_OPEN: Final = ("suspected", "repairing")


class _KnownGap(msgspec.Struct):
    gap: GapStatus
    generation: int


class Proof:
    """One target's proved ranges, gaps and losses.

    Args:
        target: Its number, for the entries of the lists.

    """

    def __init__(self, target: int) -> None:
        """Create a proof of nothing."""
        self._target = target
        self._proved = RangeSet()
        self._failed = RangeSet()  # unequal twice: rule [13]
        self._unproved: list[UnprovedRange] = []
        self._gaps: dict[str, _KnownGap] = {}
        self._gone = RangeSet()  # of unrecoverable gaps that are not listed any more
        self._lost: list[LostRange] = []
        self._through: int | None = None
        self._since: int | None = None

    @property
    def since(self) -> int | None:
        """From when on everything is owed; None until it is known."""
        return self._since

    @since.setter
    def since(self, since: int) -> None:
        self._since = since
        self._settle()

    @property
    def complete_through(self) -> int | None:
        """T, in ms; None where nothing is proved yet."""
        return self._through

    @property
    def unproved(self) -> tuple[UnprovedRange, ...]:
        """Ranges that compared unequal and have not been proved since."""
        return tuple(self._unproved)

    @property
    def gaps(self) -> tuple[GapStatus, ...]:
        """Declared gaps, oldest first."""
        return tuple(known.gap for known in self._gaps.values())

    @property
    def lost(self) -> tuple[LostRange, ...]:
        """Ranges whose events can't be had any more."""
        return tuple(self._lost)

    def touches(self, from_: int, through: int) -> bool:
        """Whether any millisecond of a range lies in a proved one."""
        return self._proved.overlaps(from_, through)

    def covers(self, from_: int, through: int) -> bool:
        """Whether a range is proved, as far as it is owed."""
        return self._proved.covers(max(from_, self._since or 0), through)

    def has_failed(self, from_: int, through: int) -> bool:
        """Whether a part of a range was sent again once already and stayed unequal."""
        return self._failed.overlaps(from_, through)

    def untried(self, from_: int, through: int) -> list[tuple[int, int]]:
        """What of a range has not failed."""
        return self._failed.missing(from_, through)

    def accounted_through(self, from_: int) -> int | None:
        """Until when, from ``from_`` on, every millisecond is proved or known not to be had."""
        settled = RangeSet()
        for one in [*self._proved, *self.known_missing()]:
            settled.add(*one)
        return settled.end_from(from_)

    def known_missing(self) -> list[tuple[int, int]]:
        """Ranges that are lost, unrecoverable or given up, ascending."""
        return sorted({*self._failed, *self._known_losses()})

    def prove(self, from_: int, through: int, generation: int) -> list[GapStatus]:
        """A whole scan's range compared equal; gaps that thereby turned out to be repaired."""
        self._proved.add(from_, through)
        self.agree(from_, through)
        repaired = self._close_gaps(from_, through, generation)
        self._settle()
        return repaired

    def agree(self, from_: int, through: int) -> None:
        """A range compared equal, without a scan behind it: red no more, but not green by it."""
        self._failed.remove(from_, through)
        self._clear_unproved(from_, through)

    def disprove(self, from_: int, through: int, missing: int, *, final: bool) -> UnprovedRange:
        """A range compared unequal: no part of it counts as proved; ``final`` as in [13]."""
        self._proved.remove(from_, through)
        self._clear_unproved(from_, through)
        if final:
            self._failed.add(from_, through)
        unproved = UnprovedRange(self._target, from_, through, max(1, missing), final)
        self._unproved.append(unproved)
        self._unproved.sort(key=lambda one: one.from_ms)
        self._settle()
        return unproved

    def doubt(self, from_: int, through: int) -> None:
        """A range is not proved any more, until it is compared again."""
        self._proved.remove(from_, through)
        self._settle()

    def rebase(self) -> None:
        """Nothing is confirmed any more, so nothing is proved; known losses stay losses."""
        self._proved.clear()
        self._failed.clear()
        self._unproved.clear()
        self._settle()

    def put_gap(self, gap: Gap, generation: int) -> GapStatus:
        """What the forwarder says of a gap, under its id."""
        status = GapStatus(
            self._target, gap.id, gap.from_, gap.through, gap.state, gap.reason, gap.recovered
        )
        self._gaps[gap.id] = _KnownGap(status, generation)
        self._bound_gaps()
        self._settle()
        return status

    def put_lost(self, lost: Lost) -> LostRange | None:
        """A range of ``welcome.lost``; None where it is known already."""
        entry = LostRange(self._target, lost.from_, lost.through, lost.reason)
        if entry in self._lost:
            return None
        self._lost.append(entry)
        self._settle()
        return entry

    def _close_gaps(self, from_: int, through: int, generation: int) -> list[GapStatus]:
        """Open gaps of earlier connections that this one did not repeat [9] and a scan covers."""
        closed = []
        for known in self._gaps.values():
            gap = known.gap
            inside = from_ <= gap.from_ms and gap.through_ms <= through
            if gap.state in _OPEN and known.generation < generation and inside:
                known.gap = msgspec.structs.replace(gap, state="repaired")
                closed.append(known.gap)
        return closed

    def _bound_gaps(self) -> None:
        repaired = [one for one, known in self._gaps.items() if known.gap.state == "repaired"]
        for one in repaired[:-REPAIRED_KEPT]:
            del self._gaps[one]
        while len(self._gaps) > GAPS_MAX:
            gap = self._gaps.pop(next(iter(self._gaps))).gap
            self._gone.add(gap.from_ms, gap.through_ms)

    def _clear_unproved(self, from_: int, through: int) -> None:
        """What remains of the entries outside a range that was compared anew."""
        kept = []
        for entry in self._unproved:
            if entry.through_ms < from_ or through < entry.from_ms:
                kept.append(entry)
                continue
            if entry.from_ms < from_:
                kept.append(msgspec.structs.replace(entry, through_ms=from_ - 1))
            if through < entry.through_ms:
                kept.append(msgspec.structs.replace(entry, from_ms=through + 1))
        self._unproved = kept

    def _known_losses(self) -> list[tuple[int, int]]:
        gaps = [known.gap for known in self._gaps.values()]
        ranges = [(gap.from_ms, gap.through_ms) for gap in gaps if gap.state == "unrecoverable"]
        ranges += [(lost.from_ms, lost.through_ms) for lost in self._lost]
        return ranges + list(self._gone)

    def _settle(self) -> None:
        """Find T anew."""
        if self._since is None:
            return
        through = self._proved.end_from(self._since)
        if through is not None:
            firsts = [low for low, high in self._known_losses() if high >= self._since]
            through = min([through, *(low - 1 for low in firsts)])
        proved = through is not None and through >= self._since
        self._through = min(through, TIMESTAMP_MAX) if proved and through is not None else None
