"""The owner's journal: every change goes to the replicated log first, then to the local view.

So the view is always a prefix of the log, and nothing needs to be rolled back after a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NoReturn

from common.concurrency import Backoff
from forwarder.cluster import entries as coding
from forwarder.cluster import status as statuses
from forwarder.cluster.entries import (
    BeginChain,
    BeginEpoch,
    Change,
    MarkLost,
    Over,
    Restore,
    Retire,
)
from forwarder.cluster.log import Fenced, Lease, Log, Unavailable, Unknown
from forwarder.cluster.status import Report, Status
from forwarder.cluster.view import View
from forwarder.errors import JournalError
from forwarder.journal.contract import ROW_BYTES, new_epoch
from forwarder.journal.database import to_blob
from forwarder.journal.tables import Bodied, compute_digests
from forwarder.records import EpochStart, GapRecord, KnownRow, LogEvent, RangeTotal, Row
from wire.messages import ExecutionStatus, Lost, Origin
from wire.order import Interval
from wire.query import Filter

PAUSE_MS: Final = 1_000
PAUSE_MAX_MS: Final = 4_000
"""First and longest pause after a failed call: each one blocks the loop until it times out. The
longest one leaves time to renew a lease of 10 s."""


TRIM_ENTRIES: Final = 1_000
"""Entries that one call of ``trim`` removes; the engine has a bound for their bytes as well."""


class CircuitBreaker:
    """Refuses calls for a while after one has failed. Pure."""

    def __init__(self, random: Callable[[], float]) -> None:
        """Let calls through; ``random`` returns numbers from 0 to 1."""
        self._backoff = Backoff(PAUSE_MS, PAUSE_MAX_MS, random)
        self._until_ms: int | None = None
        self._why = ""

    def check(self, now_ms: int) -> None:
        """Check that a call may be tried.

        Raises:
            Unavailable: One has failed too recently.
        """
        if self._until_ms is not None and now_ms < self._until_ms:
            raise Unavailable(self._why)

    def fail(self, error: Exception, now_ms: int) -> None:
        """Count a failure."""
        self._until_ms = now_ms + self._backoff.count_failure()
        self._why = str(error)

    def succeed(self) -> None:
        """Let all calls through again."""
        self._until_ms = None
        self._backoff.reset()


class ReplicatedJournal:
    """A ``Journal`` whose rows all forwarders share; this one holds the lease.

    After ``Unavailable`` nothing was written, and calls may be repeated. After any other error,
    which ``failure`` then holds, it is not known what the log contains: every further write raises
    it again. Discard the object and what was built on it, release the lease, and ``take_over``.
    """

    def __init__(
        self,
        log: Log,
        lease: Lease,
        view: View,
        *,
        timer: Callable[[], int],
        random: Callable[[], float],
        make_epoch: Callable[[], str] = new_epoch,
    ) -> None:
        """Wrap a view that has caught up; ``take_over`` is the way to begin.

        Args:
            log: the log.
            lease: the lease, which the caller holds.
            view: the local view; while this object is used, nothing else may change it.
            timer: monotonic clock, ms.
            random: returns numbers from 0 to 1.
            make_epoch: returns a new, unique epoch.
        """
        self._log = log
        self._lease = lease
        self._view = view
        self._timer = timer
        self._make_epoch = make_epoch
        self._breaker = CircuitBreaker(random)
        self._has_retired = True
        self._trim_below = view.chain_at
        self.trimmed = 0
        """Entries of former chains that this object has removed from the log."""
        self.failure: JournalError | None = None
        """Why the object must be discarded; None while it is good."""

    @classmethod
    def take_over(
        cls,
        log: Log,
        lease: Lease,
        view: View,
        *,
        timer: Callable[[], int],
        random: Callable[[], float],
        make_epoch: Callable[[], str] = new_epoch,
    ) -> ReplicatedJournal:
        """Catch up, and begin an epoch, which fences the predecessor's last writes.

        Raises:
            Fenced: The lease is lost, or another forwarder has appended.
            Unavailable: The log can't be used now.
            Unknown: The epoch may have been begun: release the lease and take over again.
            JournalError: The view can't be used.
        """
        view.catch_up(log)
        stored = log.status()
        status = statuses.decode(stored.content) if stored.content else None
        # Read after the lease was taken, so that the predecessor can't write another one.
        is_valid = status is not None and view.is_valid(status, stored.at)
        view.adopt(status if is_valid else None)
        journal = cls(log, lease, view, timer=timer, random=random, make_epoch=make_epoch)
        if view.chain_at:
            journal.begin_epoch()
        else:
            journal.begin_chain()
        return journal

    def renew(self, report: Report) -> None:
        """Extend the lease and publish the status.

        Raises:
            Fenced: The lease is lost: discard this object.
            Unavailable: The log can't be used now. Try again: until another forwarder takes the
                lease, it is not lost.
        """
        self._check()
        view = self._view
        coverage, gaps = tuple(self.coverage()), tuple(self.gaps())
        status = Status(view.head.digest, view.chain_at, coverage, gaps, report)
        with self._calling():
            is_held = self._log.renew(self._lease, statuses.encode(status), view.position)
        if not is_held:
            msg = f"another forwarder has taken over {self.group}"
            self._fail(Fenced(msg))

    @property
    def group(self) -> str:
        """The log group's name."""
        return self._view.journal.group

    @property
    def pattern(self) -> str:
        """CloudWatch's filter pattern, which every row matches; empty: all events."""
        return self._view.journal.pattern

    @property
    def epoch(self) -> str:
        """The present epoch."""
        return self._view.journal.epoch

    @property
    def chain(self) -> Sequence[EpochStart]:
        """The epochs whose cursors may be resumable, oldest first."""
        return self._view.journal.chain

    @property
    def head_seq(self) -> int:
        """The last seq of this chain."""
        return self._view.journal.head_seq

    @property
    def revision(self) -> int:
        """A number that changes when totals of existing rows do."""
        return self._view.journal.revision

    def is_resumable(self, epoch: str, after: int) -> bool:
        """Whether a cursor belongs to this chain."""
        return self._view.journal.is_resumable(epoch, after)

    def begin_epoch(self) -> str:
        """Continue the chain under a new epoch."""
        self._write(BeginEpoch(self._make_epoch()))
        return self.epoch

    def begin_chain(self) -> str:
        """Forget everything, and start over at seq 1 under a new epoch.

        The old entries are removed from the log by ``trim``.
        """
        self._write(BeginChain(self._make_epoch()))
        self._trim_below = self._view.chain_at
        return self.epoch

    def trim(self, entries_max: int = TRIM_ENTRIES) -> bool:
        """Remove a bounded part of what nobody needs from the log; return whether to call again.

        That is bodies that retention has removed, and entries of former chains: cursors of these
        are not resumable, no mark and no digest is about them, and a view that lacks them goes on
        where the present chain begins.

        Raises:
            Unavailable: The log can't be used now. Try again.
            NotAllowedError: The engine does not let this forwarder remove entries.
        """
        self._check()
        view, lease = self._view, self._lease
        with self._calling():
            if self._has_retired:
                through = view.retired_position()
                dropped = self._log.drop_bodies(lease, through, entries_max)
                self._has_retired = dropped > 0
            if self._trim_below > 1:
                done = self._log.trim(lease, view.position, self._trim_below, entries_max)
                self._trim_below = done.lowest
                self.trimmed += done.removed
        return self._has_retired or self._trim_below > 1

    def find(self, ids: Collection[str]) -> dict[str, KnownRow]:
        """Rows with these ids, by id; unknown ids are left out."""
        return self._view.journal.find(ids)

    def append(self, events: Sequence[LogEvent], origin: Origin) -> int:
        """Number and commit events with unknown ids; return the new ``head_seq``."""
        digests = compute_digests(events)
        messages = [to_blob(event.message) for event in events]
        is_begun = False
        for part in coding.cut(messages):
            try:
                self._append(events[part], digests[part], messages[part], origin)
            except Unavailable as error:
                if is_begun:
                    # The caller would take the whole batch for unwritten.
                    msg = f"only a part of a batch was written: {error}"
                    self._fail(Unknown(msg), error)
                raise
            is_begun = True
        return self.head_seq

    def _append(
        self,
        events: Sequence[LogEvent],
        digests: Sequence[int],
        messages: Sequence[bytes],
        origin: Origin,
    ) -> None:
        journal, bodies = self._view.journal, Bodied(digests, messages)
        self._write(
            coding.append_of(journal.head_seq + 1, events, digests, origin),
            messages,
            lambda: journal.append_bodied(events, bodies, origin),
        )

    def read_after(self, after: int, limit: int, until: int | None = None) -> list[Row]:
        """Rows with ``after < seq <= until``, in seq order, at most ``limit``."""
        return self._view.journal.read_after(after, limit, until)

    def read_between(
        self,
        interval: Interval,
        limit: int,
        *,
        newest_first: bool = False,
        until_seq: int | None = None,
    ) -> list[Row]:
        """Rows within the interval in display order (descending if ``newest_first``)."""
        return self._view.journal.read_between(
            interval, limit, newest_first=newest_first, until_seq=until_seq
        )

    def total(
        self, from_: int, through: int, filter_: Filter, *, base: int = 0, seq: int | None = None
    ) -> RangeTotal:
        """Count and digest of the rows in a range of time and seq."""
        return self._view.journal.total(from_, through, filter_, base=base, seq=seq)

    def coverage(self) -> Sequence[tuple[int, int]]:
        """Time that whole scans have read."""
        return self._view.journal.coverage()

    def cover(self, from_: int, through: int) -> None:
        """Add a range to the coverage; the next renewal publishes it."""
        self._check()
        self._view.journal.cover(from_, through)

    def gaps(self) -> list[GapRecord]:
        """Declared gaps that are not repaired, oldest first."""
        return self._view.journal.gaps()

    def put_gap(self, gap: GapRecord) -> None:
        """Add or replace a gap under its id; the next renewal publishes it."""
        self._check()
        self._view.journal.put_gap(gap)

    def retire(self, *, before: int | None = None, bytes_max: int | None = None) -> int:
        """Remove the bodies of events older than ``before``, then the oldest while over size."""
        journal = self._view.journal
        if bytes_max is not None:
            # What the log has beyond the rows counts as well.
            bytes_max -= self.size_bytes() - journal.size_bytes()
        extent = journal.plan_retirement(before=before, bytes_max=bytes_max)
        if extent is None:
            return 0
        self._has_retired = True
        return self._write(Retire(extent))

    def bodiless(self, from_: int, through: int, limit: int) -> list[Row]:
        """Rows of a range whose body was removed and is not known to be lost."""
        return self._view.journal.bodiless(from_, through, limit)

    def restore(self, bodies: Mapping[str, str]) -> int:
        """Put messages (by id) back into rows without one; return the number restored."""
        ids = list(self._view.journal.missing(list(bodies)))
        messages = [to_blob(bodies[one]) for one in ids]
        restored = 0
        for part in coding.cut(messages):
            restored += self._write(Restore(ids[part]), messages[part])
        return restored

    def mark_lost(self, ids: Collection[str], reason: str) -> int:
        """Mark removed bodies lost; return the number newly lost."""
        missing = self._view.journal.missing(ids)
        lost = [one for one, is_lost in missing.items() if not is_lost]
        parts = coding.cut([b""] * len(lost))
        return sum(self._write(MarkLost(lost[part], to_blob(reason))) for part in parts)

    def lost(self, from_: int, through: int, filter_: Filter) -> list[Lost]:
        """Ranges whose bodies are lost; adjoining ones with the same reason are merged."""
        return self._view.journal.lost(from_, through, filter_)

    def ended_executions(self, rule: str) -> dict[str, ExecutionStatus]:
        """Executions that have ended by a lifecycle rule, with their status."""
        return self._view.journal.ended_executions(rule)

    def put_ended(self, execution: str, status: ExecutionStatus | None, rule: str) -> None:
        """Remember the end of an execution; None forgets it."""
        self._write(Over(to_blob(execution), status, to_blob(rule)))

    def streams(self) -> list[tuple[str, int, int, int]]:
        """Every log stream: (name, first timestamp, last timestamp, count), by name."""
        return self._view.journal.streams()

    def size_bytes(self) -> int:
        """Approximate size of all rows and bodies, or of the log if its entries take more.

        They do where bodies are restored and removed again and again, each time with an entry.
        """
        view = self._view
        size = view.journal.size_bytes()
        return size + max(0, view.log_bytes - ROW_BYTES * view.journal.head_seq)

    def _write(
        self,
        change: Change,
        messages: Sequence[bytes] | None = None,
        apply: Callable[[], int] | None = None,
    ) -> int:
        """Append a change to the log, then apply it to the view; return what applying it returns.

        Args:
            change: the change.
            messages: its bodies.
            apply: applies it, if not ``View.perform``.
        """
        self._check()
        view = self._view
        index = coding.encode(view.head.digest, change)
        self._append_entry(index, None if messages is None else coding.encode_bodies(messages))
        try:
            with view.advancing(index, change):
                return view.perform(change, messages) if apply is None else apply()
        except BaseException as error:
            # The log has it; the view, being behind, would number the next change wrongly.
            self.failure = Unknown(f"{self.group}: a change is in the log, not here: {error}")
            if isinstance(error, Exception):
                raise self.failure from error
            raise

    def _append_entry(self, index: bytes, bodies: bytes | None) -> None:
        try:
            with self._calling():
                self._log.append(self._lease, self._view.position, index, bodies)
        except Unavailable:
            raise
        except JournalError as error:
            self.failure = error
            raise
        except BaseException as error:
            # Such as a signal while waiting for the answer.
            self.failure = Unknown(f"{self.group}: an append was interrupted: {error!r}")
            raise

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """Let the circuit breaker learn from a call to the log."""
        try:
            yield
        except Unavailable as error:
            self._breaker.fail(error, self._timer())
            raise
        self._breaker.succeed()

    def _check(self) -> None:
        """Check that this object may still write."""
        if self.failure is not None:
            raise type(self.failure)(str(self.failure)) from self.failure
        self._breaker.check(self._timer())

    def _fail(self, failure: JournalError, error: BaseException | None = None) -> NoReturn:
        self.failure = failure
        raise failure from error
