"""The journal's interface and its chain of epochs, independent of how rows are stored.

``SqliteJournal`` implements ``Journal`` for the product; the tests have one in memory. One journal
belongs to one feed: a log group, or its events that match a filter pattern. All calls are
synchronous and come from one thread. An event is committed when ``append`` returns, hence before it
can be sent. Retention removes message bodies only; the rest of a row stays as long as its chain.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, Protocol

from forwarder.records import EpochStart, GapRecord, KnownRow, LogEvent, RangeTotal, Row
from wire.messages import ExecutionStatus, Lost, Origin
from wire.order import Interval
from wire.query import Filter

RETIRE_ROWS_MAX: Final = 50_000
"""Bodies that one call of ``retire`` removes, so that it does not block for long."""

ROW_BYTES: Final = 200
"""Approximate size of a row besides its message, indexes included (SQLite: 180, measured)."""


class Journal(Protocol):
    """One log group's events in order of discovery, and what is known about them."""

    @property
    def group(self) -> str:
        """The log group's name."""

    @property
    def pattern(self) -> str:
        """CloudWatch's filter pattern, which every row matches; empty: all events."""

    @property
    def epoch(self) -> str:
        """The present epoch: new at every start, at ``begin_epoch`` and at ``begin_chain``."""

    @property
    def chain(self) -> Sequence[EpochStart]:
        """The epochs whose cursors may be resumable, oldest first; the last is the present one."""

    @property
    def head_seq(self) -> int:
        """The last seq of this chain; 0 in an empty one."""

    @property
    def revision(self) -> int:
        """A number that changes when totals of existing rows do: bodies lost, or a new chain."""

    def is_resumable(self, epoch: str, after: int) -> bool:
        """Whether a cursor belongs to this chain (PROTOCOL.md, "Three positions")."""

    def begin_epoch(self) -> str:
        """Continue the chain under a new epoch, whose first seq is ``head_seq + 1`` [4]."""

    def begin_chain(self) -> str:
        """Forget everything, and start over at seq 1 under a new epoch."""

    def find(self, ids: Collection[str]) -> dict[str, KnownRow]:
        """Rows with these ids, by id; unknown ids are left out."""

    def append(self, events: Sequence[LogEvent], origin: Origin) -> int:
        """Number and commit events with unknown ids; return the new ``head_seq``."""

    def read_after(self, after: int, limit: int, until: int | None = None) -> list[Row]:
        """Rows with ``after < seq <= until``, in seq order, at most ``limit``."""

    def read_between(
        self,
        interval: Interval,
        limit: int,
        *,
        newest_first: bool = False,
        until_seq: int | None = None,
    ) -> list[Row]:
        """Rows within the interval in display order (descending if ``newest_first``).

        Only rows with ``seq <= until_seq`` if that is given; at most ``limit``.
        """

    def total(
        self, from_: int, through: int, filter_: Filter, *, base: int = 0, seq: int | None = None
    ) -> RangeTotal:
        """Count and digest of the rows in a range of time and seq.

        That is ``from_ <= timestamp <= through`` and ``base < seq <= seq``. Rows whose bodies are
        lost (``mark_lost``) are left out; rows whose bodies retention removed are counted.
        """

    def coverage(self) -> Sequence[tuple[int, int]]:
        """Time that whole scans have read: ranges (inclusive, disjoint, ascending)."""

    def cover(self, from_: int, through: int) -> None:
        """Add a range to the coverage."""

    def gaps(self) -> list[GapRecord]:
        """Declared gaps that are not repaired (unrecoverable ones stay), oldest first."""

    def put_gap(self, gap: GapRecord) -> None:
        """Add or replace a gap under its id; a repaired one is removed."""

    def retire(self, *, before: int | None = None, bytes_max: int | None = None) -> int:
        """Remove the bodies of events older than ``before``, then the oldest while over size.

        One call removes a bounded number, which it returns: call again until that is 0.
        """

    def bodiless(self, from_: int, through: int, limit: int) -> list[Row]:
        """Rows of a range whose body was removed and is not known to be lost."""

    def restore(self, bodies: Mapping[str, str]) -> int:
        """Put messages (by id) back into rows without one; return the number restored."""

    def mark_lost(self, ids: Collection[str], reason: str) -> int:
        """Mark removed bodies lost, since CloudWatch does not have them; return how many."""

    def lost(self, from_: int, through: int, filter_: Filter) -> list[Lost]:
        """Ranges whose bodies are lost; adjoining ones with the same reason are merged."""

    def ended_executions(self, rule: str) -> dict[str, ExecutionStatus]:
        """Executions that have ended by a lifecycle rule, with their status."""

    def put_ended(self, execution: str, status: ExecutionStatus | None, rule: str) -> None:
        """Remember the end of an execution; None forgets it."""

    def streams(self) -> list[tuple[str, int, int, int]]:
        """Every log stream: (name, first timestamp, last timestamp, count), by name."""

    def size_bytes(self) -> int:
        """Approximate size of all rows and bodies."""


EPOCHS_MAX: Final = 1_000
"""Epochs that a chain remembers, one for each start; cursors of older ones are rebased safely."""


def new_epoch() -> str:
    """Create a unique epoch: 64 random bits as hex."""
    return secrets.token_hex(8)


class Chain:
    """Epochs in order of time, each with its first seq: which cursors can be resumed [4]."""

    def __init__(
        self, links: Iterable[EpochStart] = (), make: Callable[[], str] = new_epoch
    ) -> None:
        """Continue ``links``; ``make`` returns a new, unique epoch."""
        self._links = list(links)
        self._make = make

    @property
    def links(self) -> Sequence[EpochStart]:
        """The epochs of the chain, oldest first; the last is the present one."""
        return tuple(self._links)

    @property
    def epoch(self) -> str:
        """The present epoch."""
        return self._links[-1].epoch

    def with_new_epoch(self, first_seq: int) -> Chain:
        """This chain with a new epoch at its end, without the oldest beyond the bound."""
        link = EpochStart(self._make(), first_seq)
        return Chain([*self._links, link][-EPOCHS_MAX:], self._make)

    def restarted(self) -> Chain:
        """A chain of one new epoch, from seq 1."""
        return Chain([EpochStart(self._make(), 1)], self._make)

    def is_resumable(self, epoch: str, after: int, head_seq: int) -> bool:
        """Whether a cursor belongs to this chain.

        Its epoch is in the chain, and ``after`` is below the first seq of the next epoch, or at
        most ``head_seq`` in the present one.
        """
        for index, link in enumerate(self._links):
            if link.epoch == epoch:
                last = index == len(self._links) - 1
                return after <= (head_seq if last else self._links[index + 1].first_seq - 1)
        return False


LOST_RANGES_MAX: Final = 100
"""Lost ranges in one ``welcome``; beyond this the nearest are joined, which declares more."""

_ADJOINING_MS: Final = 1_000


def lost_ranges(losses: Iterable[tuple[int, str]]) -> list[Lost]:
    """Join losses, (timestamp, reason), into ranges.

    Losses of one reason are joined if they are at most a second apart. If too many ranges are
    left, the nearest are joined as well, so that the ranges always contain every loss.
    """
    by_reason: dict[str, list[int]] = {}
    for timestamp, reason in losses:
        by_reason.setdefault(reason, []).append(timestamp)
    for timestamps in by_reason.values():
        timestamps.sort()
    steps = sorted(
        (
            after - before
            for timestamps in by_reason.values()
            for before, after in pairwise(timestamps)
        ),
        reverse=True,
    )
    spare = max(0, LOST_RANGES_MAX - len(by_reason))
    adjoining = max(_ADJOINING_MS, steps[spare] if len(steps) > spare else 0)
    ranges = [
        Lost(from_=run[0], through=run[-1], reason=reason)
        for reason, timestamps in by_reason.items()
        for run in _runs(timestamps, adjoining)
    ]
    return sorted(ranges, key=lambda one: (one.from_, one.through, one.reason))


def _runs(timestamps: list[int], adjoining_ms: int) -> Iterable[list[int]]:
    run = timestamps[:1]
    for timestamp in timestamps[1:]:
        if timestamp - run[-1] > adjoining_ms:
            yield run
            run = []
        run.append(timestamp)
    yield run
