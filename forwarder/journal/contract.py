"""What the forwarder needs of a journal: one small protocol, whatever stores it.

One ``Journal`` is one log group's. All calls are synchronous and made from one thread. An event
is committed when ``append`` returns, hence before it can be sent. Retention takes message bodies
only; everything else of a row stays as long as the chain does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

from forwarder.records import EpochStart, GapRecord, Known, LogEvent, RangeTotal, Row
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

    def begin_chain(self, reason: str) -> str:
        """Forget everything and start anew at seq 1 under a new epoch (group made anew, size)."""
        ...

    def known(self, ids: Collection[str]) -> dict[str, tuple[int, str]]:
        """Those of ``ids`` that the journal has, with their (timestamp, stream)."""
        ...

    def find(self, ids: Collection[str]) -> dict[str, Known]:
        """As ``known``, with the seq and whether the body is here, or lost."""
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

    def over(self, rule: str) -> dict[str, ExecutionStatus]:
        """Executions that were found to be over by that rule, with their status."""
        ...

    def put_over(self, execution: str, status: ExecutionStatus | None, rule: str) -> None:
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
