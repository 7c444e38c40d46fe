"""A log group that another forwarder reads: its state follows the replicated journal. Pure.

The rows are in the local view when a change arrives here; what scans prove comes with the owner's
status, which is valid for the rows that are there. Nothing is concluded here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from forwarder.cluster.entries import Append, BeginChain, Change, Over, events_of
from forwarder.cluster.status import Status
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.log_group import LogGroup
from forwarder.journal.contract import Journal
from forwarder.journal.database import from_blob
from forwarder.records import AlteredEvent, GapRecord, Reset, ScanDone, TextsChanged

FORGOTTEN = "the journal began a new chain"

_Scan = tuple[int, int]
"""What identifies a scan, however much of its range later ones have replaced."""


class FollowedGroup(LogGroup):
    """A ``LogGroup`` that takes in a log's changes and its owner's status instead of scans."""

    def __init__(
        self, journal: Journal, *, allowance_ms: int, lifecycle: Lifecycle | None = None
    ) -> None:
        """Load the state from a view's journal, which has caught up.

        ``lifecycle`` must be the owner's, or the ends of executions are not shown.
        """
        self._proved: set[_Scan] = set()
        super().__init__(journal, allowance_ms=allowance_ms, lifecycle=lifecycle)

    def gaps(self) -> list[GapRecord]:
        """Declared gaps that are not repaired, oldest first."""
        return self.journal.gaps()

    def note(self, changes: Iterable[Change]) -> None:
        """Note changes that the view has applied, in order."""
        for change in changes:
            match change:
                case Append():
                    self.counts.events[change.origin] += len(change.ids)
                    # No message ends an execution here: the owner says which have ended.
                    self.executions.add_events(events_of(change), 0, {})
                case BeginChain():
                    self._load_chain()
                    self._proved.clear()
                    self._notices.append(Reset(change.epoch, FORGOTTEN))
                case Over():
                    self._note_over(change)
                case _:
                    pass

    def _note_over(self, change: Over) -> None:
        lifecycle = self.lifecycle
        if lifecycle is None or from_blob(change.rule) != lifecycle.rule or change.status is None:
            return  # the new events that open an execution again follow
        end = self.executions.end(from_blob(change.execution), change.status, self.head_seq)
        if end is not None:
            self._notices.append(end)

    def adopt(self, status: Status, gaps_before: Sequence[GapRecord]) -> None:
        """Take over a valid status, whose coverage and gaps the view has already.

        Gaps come before the marks of their ranges, as the owner declared them.
        """
        report = status.report
        self.allowance_ms = report.allowance_ms
        now = {gap.id: gap for gap in status.gaps}
        before = {gap.id: gap for gap in gaps_before}
        self._notices.extend(gap for gap in status.gaps if before.get(gap.id) != gap)
        self._notices.extend(
            replace(gap, state="repaired") for gap in gaps_before if gap.id not in now
        )
        self._adopt_texts(report.altered)
        for done in report.proved:
            if _scan_of(done) not in self._proved:
                self._marked.add(done.from_, done.through)
                self._notices.append(done)
        self._proved = {_scan_of(done) for done in report.proved}

    def _adopt_texts(self, altered: Iterable[AlteredEvent]) -> None:
        changed = self.alterations.replace_texts(altered)
        if changed:
            self._notices.append(TextsChanged(tuple(changed)))


def _scan_of(done: ScanDone) -> _Scan:
    return done.scanned_at, done.head_seq
