"""Switches off each bracketed rule of the protocol by overriding the method that implements it.

An ablation names the troubles that reveal its fault, and the kinds of fault that the judge may
report. Repairs [13] compensate for some rules: they bring back what was lost without the rule, so
that the viewer only disagrees for a while. Those rules have two ablations: with repairs (``false
red``: the two ends disagree without a reason) and without that safety net.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from forwarder.delivery import lanes
from forwarder.delivery.backfill import HistoryIntervals, StartPoint, last_wire_key
from forwarder.delivery.lanes import Lanes
from forwarder.delivery.marks import PendingMarks
from forwarder.delivery.session import Session
from forwarder.ingest import log_group
from forwarder.ingest.alterations import Alterations, KnownTexts
from forwarder.ingest.executions import Executions
from forwarder.ingest.gaps import Gaps
from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.scan import Scan
from forwarder.journal.contract import Journal
from forwarder.records import RangeTotal, ScanDone
from forwarder.server.api import Api
from tests.simulation.judge import Kind
from tests.support.forwarder.memory_journal import MemoryJournal
from tui.client import saved
from tui.client.holdings import Holdings, RangeRequest
from tui.client.session import RequestQueue, ViewerSession
from tui.client.status import Effect, SendMessage
from wire.digest import digest_hex
from wire.messages import Credit, DigestBody, Heartbeat
from wire.order import Interval, first_key, timestamp_of
from wire.query import DigestQuery, TailQuery


@dataclass(frozen=True)
class Ablation:
    """One rule switched off."""

    rule: int
    how: str
    troubles: tuple[str, ...]
    """Troubles in the runs that search for the fault."""
    kinds: tuple[Kind, ...]
    """Kinds of fault that count as found."""
    switch: Callable[[], list[Any]]
    """Returns the patches that switch the rule off."""
    has_net: bool = True
    """Whether the viewer requests repairs [13]."""

    def __str__(self) -> str:
        """Name the test."""
        return f"{self.rule}: {self.how}" + ("" if self.has_net else ", without repairs")

    @contextmanager
    def active(self) -> Iterator[None]:
        """Switch the rule off within the context."""
        with ExitStack() as stack:
            for one in self.switch():
                stack.enter_context(one)
            if not self.has_net:
                stack.enter_context(no_repairs())
            yield


def override(owner: type, name: str, value: Any) -> Any:  # noqa: ANN401 - a method of any kind
    """Patch a method, which must exist."""
    assert hasattr(owner, name), f"{owner.__name__} has no {name} any more"
    return patch.object(owner, name, value)


def no_repairs() -> Any:  # noqa: ANN401 - a patch
    """The viewer never requests a repair."""
    put = RequestQueue.add

    def without(self: RequestQueue, request: RangeRequest) -> bool:
        return request.kind != "repair" and put(self, request)

    return override(RequestQueue, "add", without)


# [1] held, with a cursor: history outside it is still sent


def held_is_not_honoured() -> list[Any]:
    """Resuming in mid-history continues with live events only."""

    def history(self: StartPoint) -> HistoryIntervals:
        if self.outcome == "resumed":
            return HistoryIntervals.complete(self.since, self.now_ms)
        return HistoryIntervals(self.since, self.now_ms, history=self.query.history)

    return [override(StartPoint, "history", history)]


# [2] n is dense


def n_is_not_looked_at() -> list[Any]:
    """A missing history frame, which moves no cursor, goes unnoticed."""
    return [
        override(ViewerSession, "_skips_numbers", lambda _self, _n: False),
        override(ViewerSession, "_is_repeated", lambda _self, _n: False),
    ]


# [3] the borders of held are positions


def held_in_milliseconds() -> list[Any]:
    """A slice that ends inside a millisecond claims the whole of it."""
    exact = HistoryIntervals.held.fget  # type: ignore[attr-defined]  # a property's function
    assert exact is not None

    def held(self: HistoryIntervals) -> Interval | None:
        interval: Interval | None = exact(self)
        if interval is None:
            return None
        low, high = interval.low, interval.high
        return Interval(
            None if low is None else first_key(timestamp_of(low)),
            None if high is None else last_wire_key(timestamp_of(high)),
        )

    return [override(HistoryIntervals, "held", property(held))]


# [4] a new epoch at every start


def one_epoch_for_ever() -> list[Any]:
    """A journal keeps its epoch when it is opened again."""
    return [override(MemoryJournal, "begin_epoch", lambda self: self.epoch)]


# [5] retention takes bodies only


def rows_go_with_their_bodies() -> list[Any]:
    """Rows whose bodies retention removes are forgotten: not counted, known or declared lost."""
    retire = MemoryJournal.retire

    def forgetting(self: MemoryJournal, **bounds: int | None) -> int:
        before = {row.seq for row in self._rows if row.message is None}
        taken = retire(self, **bounds)
        for row in self._rows:
            if row.message is None and row.seq not in before:
                self._seq_of.pop(row.id, None)
                self._order = [one for one in self._order if one[1] != row.seq]
        self._revision += 1
        return taken

    return [override(MemoryJournal, "retire", forgetting)]


# [6] rebased: unconfirmed, and held is ignored


def held_of_another_journal() -> list[Any]:
    """Rebased, history within the client's old ``held`` is not sent."""

    def history(self: StartPoint) -> HistoryIntervals:
        return HistoryIntervals(
            self.since, self.now_ms, held=self.query.held, history=self.query.history
        )

    return [override(StartPoint, "history", history)]


def old_lines_still_count() -> list[Any]:
    """Rebased, the client's old lines stay confirmed and verified."""

    def rebase(self: ViewerSession, _reason: str) -> list[Effect]:
        self.epoch, self.after, self.held, self.is_backfilled = None, 0, None, False
        self._requests.clear()
        return []

    return [override(ViewerSession, "rebase", rebase)]


# [7] a cursor belongs to its filter


def cursor_of_another_filter() -> list[Any]:
    """A saved cursor is used for any group, filter and since."""
    return [patch.object(saved, "_is_about", lambda _saved, _subject: True)]


# [8] marks only of whole scans that returned what was known


def known_events_may_be_missing() -> list[Any]:
    """A scan is marked though it did not return what the journal holds."""
    return [override(LogGroup, "_returned_all", lambda _self, *_: True)]


def unfinished_scans_count() -> list[Any]:
    """A scan that failed is marked like a whole one."""

    def abandon(self: LogGroup, scan: Scan) -> None:
        self.finish_scan(scan, scan.begun_ms)

    return [override(LogGroup, "abandon_scan", abandon)]


# [9] gaps are sent again after every welcome


def gaps_are_sent_once() -> list[Any]:
    """A viewer that was away when a gap was declared never gets it."""
    return [override(Session, "_repeat_gaps", lambda _self: None)]


# [10] a mark comes when its events have, and describes that point of the stream


def marks_do_not_wait() -> list[Any]:
    """A mark is sent before the events that its scan found."""

    def find(
        self: PendingMarks, _read_seq: int, may_mark: Callable[[int, int], bool]
    ) -> ScanDone | None:
        ready = (done for done in self._pending if may_mark(done.from_, done.through))
        return next(ready, None)

    return [override(PendingMarks, "find", find)]


def totals_of_the_head() -> list[Any]:
    """A mark counts what the journal holds, not what the viewer was sent."""

    def total(self: Session, from_: int, through: int) -> RangeTotal:
        return self.group.totals.total(
            from_, through, self.query.filter, base=self.start.base, seq=None
        )

    return [override(Session, "_range_total", total)]


# [11] end: two scans apart, to everybody, and again


def one_scan_is_enough() -> list[Any]:
    """An execution ends as soon as its last message arrives."""
    scanned = Executions.finish_scan

    def at_once(self: Executions, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        for execution in self._open:
            one = self._states[execution]
            if one.status is not None:
                one.agreed_ms = 0
                one.over_since = one.changed = 0
        return scanned(self, *arguments, **options)

    return [override(Executions, "finish_scan", at_once)]


def ends_are_sent_once() -> list[Any]:
    """A viewer that connects after an end never gets it."""
    return [override(Session, "_repeat_ends", lambda _self: None)]


def ends_are_final() -> list[Any]:
    """Late events of an execution that has ended change nothing."""
    return [override(Executions, "_reopen", lambda _self, _state: None)]


# [12] what the filter skips moves the cursor


def skipped_events_say_nothing() -> list[Any]:
    """No empty frame announces what the filter leaves out."""
    return [override(Lanes, "advance_cursor", lambda _self: None)]


# [13] repair, once


def nothing_is_sent_again() -> list[Any]:
    """The viewer never requests a repair."""
    return [no_repairs()]


def what_did_not_come_again_stays() -> list[Any]:
    """After a repair the viewer still counts what the forwarder does not have."""
    return [override(Holdings, "_unconfirm_unseen", lambda _self, _claim, _seen: [])]


def repairs_without_end() -> list[Any]:
    """A range that stays unequal is repaired again and again."""
    return [override(Holdings, "_was_given_up", lambda _self, _claim: False)]


def a_lying_forwarder() -> Any:  # noqa: ANN401 - a patch
    """Not an ablation: a forwarder that always counts one event more than it has."""
    total = Session._range_total

    def lying(self: Session, from_: int, through: int) -> RangeTotal:
        honest = total(self, from_, through)
        return RangeTotal(honest.count + 1, honest.digest)

    return override(Session, "_range_total", lying)


# [14] a digest over HTTP is of an epoch and a seq


def digests_of_the_head() -> list[Any]:
    """``/v1/digest`` describes the present journal, whatever ``seq`` is requested."""

    def now(self: Api, hub: Any, query: DigestQuery) -> DigestBody:  # noqa: ANN401 - a hub
        assert isinstance(self, Api)
        total = hub.group.totals.total(
            query.from_, query.through, query.filter, base=query.base, seq=None
        )
        return DigestBody(
            epoch=query.epoch,
            from_=query.from_,
            through=query.through,
            seq=query.seq,
            count=total.count,
            digest=digest_hex(total.digest),
        )

    return [override(Api, "_range_digest", now)]


# [15] credit is repeated, and history gets its share


def credit_is_sent_once() -> list[Any]:
    """The grant is not repeated at a heartbeat."""
    on_heartbeat = ViewerSession._on_heartbeat

    def silent(self: ViewerSession, message: Heartbeat, now_ms: int) -> list[Effect]:
        effects = on_heartbeat(self, message, now_ms)
        return [
            effect
            for effect in effects
            if not (isinstance(effect, SendMessage) and isinstance(effect.message, Credit))
        ]

    return [override(ViewerSession, "_on_heartbeat", silent)]


def live_always_goes_first() -> list[Any]:
    """History gets only what live events leave over."""
    return [patch.object(lanes, "LIVE_RUN_MAX", 10**9)]


# [16] base


def the_forwarder_knows_no_base() -> list[Any]:
    """Counts for a viewer without its old lines include them."""
    begin = StartPoint.__init__

    def without(self: StartPoint, query: TailQuery, journal: Journal, now_ms: int) -> None:
        begin(self, query, journal, now_ms)
        self.base = 0

    return [override(StartPoint, "__init__", without)]


def the_viewer_knows_no_base() -> list[Any]:
    """A viewer without its old lines requests counts that include them."""
    return [override(ViewerSession, "_base_of", lambda _self, _cursor: 0)]


# [17] a known id elsewhere: the group was recreated


def a_known_id_is_a_duplicate() -> list[Any]:
    """Whatever its timestamp and stream, an event with a known id is ignored."""
    return [override(LogGroup, "_is_reused", lambda _self, _known, _event: False)]


def a_contradiction_is_a_recreation() -> list[Any]:
    """The first answer that contradicts the journal begins a new chain."""

    def reset(self: LogGroup, *_: object) -> None:
        self.begin_chain("recreated")

    return [override(LogGroup, "_hold_back", reset)]


def contradicting_scans_count() -> list[Any]:
    """A scan whose answers contradict the journal or each other yields a mark."""
    return [
        override(Scan, "is_conclusive", property(lambda self: not self.is_resumed)),
        override(Gaps, "blocks", lambda *_: False),
    ]


def resumed_scans_count() -> list[Any]:
    """A scan that was resumed by time yields a mark."""
    return [override(Scan, "is_conclusive", property(lambda self: self.is_consistent))]


def unreadable_events_are_dropped() -> list[Any]:
    """An event that the protocol can't carry is not declared."""
    return [override(Gaps, "declare_not_shown", lambda *_: None)]


# [18] scans compare texts


def texts_are_not_compared() -> list[Any]:
    """Scans compare ids, timestamps and streams alone."""
    return [override(KnownTexts, "differing", lambda *_: [])]


def any_text_restores_a_body() -> list[Any]:
    """A refetched body is sent as the event's, whatever its text."""
    return [patch.object(log_group, "has_first_text", lambda *_: True)]


def altered_for_ever() -> list[Any]:
    """A gap stays when CloudWatch returns the first texts again."""
    return [override(Alterations, "_restore", lambda *_: None)]
