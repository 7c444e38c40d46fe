"""What ``backfill`` says to one viewer: how much of the past it holds by now. Pure."""

from __future__ import annotations

from common.ranges import Coverage, Range
from forwarder.delivery.backfill import times_within
from forwarder.delivery.lanes import Lanes
from forwarder.delivery.opening import Opening
from forwarder.ingest.log_group import LogGroup
from wire.limits import TIMESTAMP_MAX
from wire.messages import Backfill
from wire.query import History


class Progress:
    """The past of one connection, from ``welcome`` to ``done``."""

    def __init__(self, group: LogGroup, opening: Opening, lanes: Lanes) -> None:
        """Nothing is said yet; a client that resumes knows what it holds."""
        self.group = group
        self.is_done = False
        """Whether it was said that the past is sent."""
        is_resumed = opening.outcome == "resumed"
        self.held = opening.query.held if is_resumed else None
        """What the client knows that it holds."""
        self._opening = opening
        self._lanes = lanes
        self._past = lanes.past
        self._seen: tuple[int, list[Range]] | None = None
        self._is_total_known = not is_resumed and self.wants_backfill is None
        self._total: int | None = None

    @property
    def wants_backfill(self) -> tuple[int, History] | None:
        """From when on CloudWatch's past is needed that is not in the journal; None: it is."""
        since = self._opening.since
        coverage = self.group.coverage
        top = self._past.connected_ms
        if coverage.end is not None:
            # What is younger than every scan is the next poll's.
            top = min(top, coverage.end)
        if since > top or not coverage.missing(since, top):
            return None
        return since, self._opening.query.history

    def clip(self, from_: int, through: int) -> Range:
        """What of a range may be spoken of: from ``since``, and until ``done`` within ``held``.

        Both in ms; crossed where that is nothing.
        """
        from_ = max(from_, self._opening.since)
        if self.is_done:
            return from_, through
        if self.held is None:
            at = max(1, through)
            return at, at - 1
        first, last = times_within(self.held)
        return max(from_, first), min(through, last)

    def slice_end(self) -> Backfill | None:
        """Each slice of the past is followed by the whole interval so far."""
        if not self._lanes.has_open_slice:
            return None
        self._lanes.has_open_slice = False
        self._observe()
        return self._backfill()

    def news(self) -> Backfill | None:
        """What was fetched from CloudWatch has been sent as well, or all has."""
        if self.is_done:
            return None
        self._observe()
        return self._backfill() if self._past.is_done or self._past.held != self.held else None

    def _observe(self) -> None:
        """Let ``held`` grow over what scans cover, once all that they brought by then is sent."""
        if self._seen is None:
            self._seen = self.group.head_seq, list(self.group.journal.coverage())
        head_seq, coverage = self._seen
        if self._lanes.read_seq >= head_seq:
            self._past.cover(Coverage(coverage))
            self._seen = None

    def _backfill(self) -> Backfill | None:
        held = self._past.held
        if held is None:
            return None
        self.held, self.is_done = held, self._past.is_done
        return Backfill(held=str(held), total=self._total_of_past(), done=self.is_done)

    def _total_of_past(self) -> int | None:
        """How many events the past has, where none of it must be fetched and none is held."""
        if self._is_total_known and self._total is None:
            opening = self._opening
            self._total = self.group.totals.total(
                opening.since, TIMESTAMP_MAX, opening.query.filter, seq=opening.after
            ).count
        return self._total
