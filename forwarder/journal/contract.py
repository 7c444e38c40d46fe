"""What the forwarder needs of a journal: one small protocol, whatever stores it.

One ``Journal`` is one log group's. All calls are synchronous and made from one thread. An event
is committed when ``append`` returns, hence before it can be sent. Retention takes message bodies
only; everything else of a row stays as long as the chain does.

The chain of epochs: which cursors a journal may resume [4].

Ranges of time for bodies that nobody has any more.
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
"""Bodies that one call of ``retire`` takes, so that nothing else waits for long."""

ROW_BYTES: Final = 200
"""About what a row takes beside its message, indexes included (SQLite: 180, measured)."""


class Journal(Protocol):
    """One log group's events in order of discovery, with what is known about them."""

    @property
    def group(self) -> str:
        """The log group's name."""
        ...

    @property
    def epoch(self) -> str:
        """The present epoch: new at every start, at ``begin_epoch`` and at ``begin_chain``."""
        ...

    @property
    def chain(self) -> Sequence[EpochStart]:
        """The epochs whose cursors may be resumable, oldest first; the last is the present one."""
        ...

    @property
    def head_seq(self) -> int:
        """The last seq given out in this chain; 0 where there is none."""
        ...

    @property
    def revision(self) -> int:
        """Changes whenever the totals of rows that were there already change (lost, new chain)."""
        ...

    def is_resumable(self, epoch: str, after: int) -> bool:
        """Whether a cursor is of this chain: protocol, "Three positions"."""
        ...

    def begin_epoch(self) -> str:
        """Go on in the same chain under a new epoch whose first seq is ``head_seq + 1``."""
        ...

    def begin_chain(self) -> str:
        """Forget everything and start anew at seq 1 under a new epoch (group made anew, size)."""
        ...

    def find(self, ids: Collection[str]) -> dict[str, KnownRow]:
        """Those of ``ids`` that the journal has."""
        ...

    def append(self, events: Sequence[LogEvent], origin: Origin) -> int:
        """Number and commit events, none of which is known; the new ``head_seq``."""
        ...

    def read_after(self, after: int, limit: int, until: int | None = None) -> list[Row]:
        """Rows with ``after < seq <= until``, in seq order, at most ``limit``."""
        ...

    def read_between(
        self,
        interval: Interval,
        limit: int,
        *,
        newest_first: bool = False,
        until_seq: int | None = None,
    ) -> list[Row]:
        """Rows within the interval in display order (descending if ``newest_first``).

        Only rows with ``seq <= until_seq`` where that is given; at most ``limit``.
        """
        ...

    def total(
        self,
        from_: int,
        through: int,
        wanted: Filter,
        *,
        base: int = 0,
        seq: int | None = None,
    ) -> RangeTotal:
        """Count and digest of ``from_ <= timestamp <= through`` and ``base < seq <= seq``.

        Rows whose bodies are lost (``mark_lost``) do not count, whoever asks; rows whose
        bodies retention took do.
        """
        ...

    def coverage(self) -> Sequence[tuple[int, int]]:
        """Ranges of time (inclusive, disjoint, ascending) of which a whole scan was taken in."""
        ...

    def cover(self, from_: int, through: int) -> None:
        """Add a range to the coverage."""
        ...

    def gaps(self) -> list[GapRecord]:
        """The declared gaps that are not repaired (unrecoverable ones stay), oldest first."""
        ...

    def put_gap(self, gap: GapRecord) -> None:
        """Store a gap under its id, replacing what stood there."""
        ...

    def retire(self, *, before: int | None = None, bytes_max: int | None = None) -> int:
        """Take bodies: of events older than ``before`` ms, then the oldest while over size.

        One call takes a bounded number, which it returns: call again until that is 0.
        """
        ...

    def bodiless(self, from_: int, through: int, limit: int) -> list[Row]:
        """Rows of a range whose body is gone from here but not known to be lost."""
        ...

    def restore(self, bodies: Mapping[str, str]) -> int:
        """Put bodies (message by id) back where they are missing; the number restored."""
        ...

    def mark_lost(self, ids: Collection[str], reason: str) -> int:
        """Bodies that CloudWatch does not have any more either."""
        ...

    def lost(self, from_: int, through: int, wanted: Filter) -> list[Lost]:
        """Ranges whose bodies are lost, adjoining ones with the same reason merged."""
        ...

    def ended_executions(self, rule: str) -> dict[str, ExecutionStatus]:
        """Executions that were found to be over by that rule, with their status."""
        ...

    def put_ended(self, execution: str, status: ExecutionStatus | None, rule: str) -> None:
        """Remember (None: forget) that an execution is over, while the chain goes on."""
        ...

    def streams(self) -> list[tuple[str, int, int, int]]:
        """Every log stream: (name, first timestamp, last timestamp, count)."""
        ...

    def size_bytes(self) -> int:
        """What the journal takes where it is stored."""
        ...

    def close(self) -> None:
        """Leave everything in order; a closed journal can be opened again."""
        ...


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


LOST_RANGES_MAX: Final = 100
"""Ranges in one ``welcome``: beyond it neighbours are joined, declaring more rather than less."""

_ADJOINING_MS: Final = 1_000


def lost_ranges(losses: Iterable[tuple[int, str]]) -> list[Lost]:
    """Losses as (timestamp, reason), joined where they have one reason and adjoin.

    Losses adjoin when they are at most a second apart. Where that leaves too many ranges,
    the nearest are joined as well, so that what is declared always holds every loss.
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
