"""What CloudWatch's retention removed before any scan had read it. Pure.

A scan that is the first to read time older than the retention setting can't know what was there:
that range is declared lost, never called complete. Not lost are the time before the log group was
created, and time that was scanned before it expired. Without permission for DescribeLogGroups the
setting is unknown, and nothing is declared.

The setting may be shortened at any time and takes effect at once. So a first scan of time older
than the shortest setting is settled only by an answer that was requested after its last page. A
setting that was shortened and lengthened again in between leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from common.ranges import Range

RETENTION_LEAST_MS: Final = 86_400_000
"""The shortest retention setting (service model, PutRetentionPolicy)."""

SLACK_MS: Final = 3_600_000
"""Part of an expired range that is not declared.

Events are deleted up to 72 hours after they expire (user guide), so a viewer that asks for exactly
the retention period must not see a gap of the seconds that asking took.
"""

FIRSTS_MAX: Final = 1_000
"""Ranges that wait for the setting to become known."""

# Journals hold these reasons and they are compared, so the texts must stay as they are.
EXPIRED: Final = (
    "older than what CloudWatch Logs keeps of this log group: nobody can say what was there"
)
AWAY: Final = (
    "the forwarder was away for longer than CloudWatch Logs keeps events of this log group"
)
CLOCK_REASONS: Final = (EXPIRED, AWAY)
"""Reasons of unrecoverable gaps that follow from the clock and the settings alone."""


class _First(msgspec.Struct, frozen=True):
    """The first scan of a range; not settled while it waits for an answer requested later."""

    from_: int
    through: int
    ended_ms: int
    is_between: bool
    number: int
    is_settled: bool


class Expiry:
    """Finds the time ranges of a log group that had expired before any scan read them."""

    def __init__(self) -> None:
        self.retention_ms: int | None = None
        """The retention setting; None: unknown, or events are kept for ever."""
        self.first_scan_count = 0
        """First scans so far; an answer settles those that were counted as it was requested."""
        self.created_ms: int | None = None
        """When the log group was created, by AWS's clock; None: unknown."""
        self._is_known = False
        self._scanned_ms = 0
        self._removed_ms = 0
        self._firsts: list[_First] = []

    def learn(
        self, retention_ms: int | None, created_ms: int | None, first_scan_count: int | None = None
    ) -> None:
        """Take the settings that DescribeLogGroups returned; None: no retention, no creation time.

        They settle the first scans that were counted when the answer was requested:
        ``first_scan_count``, or all.
        """
        was_ms = self.retention_ms
        if was_ms is not None and (retention_ms is None or retention_ms > was_ms):
            self._removed_ms = self._scanned_ms - was_ms
        self.retention_ms, self.created_ms = retention_ms, created_ms
        self._is_known = True
        self._firsts = [
            one
            if first_scan_count is not None and one.number > first_scan_count
            else replace(one, is_settled=True)
            for one in self._firsts
        ]

    def add_first_scans(
        self,
        pieces: Iterable[Range],
        ended_ms: int,
        oldest_ms: int | None,
        *,
        is_settled: bool = False,
    ) -> None:
        """Add the ranges that a scan was the first to read.

        What had expired when it ended may have been missing. ``oldest_ms`` is the oldest time that
        was scanned before; ``is_settled``: the settings were requested after its last page.
        """
        self._scanned_ms = ended_ms
        for from_, through in pieces:
            if from_ < ended_ms - RETENTION_LEAST_MS:
                self.first_scan_count += 1
                is_between = oldest_ms is not None and oldest_ms < from_
                first = _First(
                    from_, through, ended_ms, is_between, self.first_scan_count, is_settled
                )
                self._firsts.append(first)
        del self._firsts[:-FIRSTS_MAX]

    def due(self) -> list[tuple[int, int, str]]:
        """Ranges (from, through, reason) to declare lost."""
        if not self._is_known:
            return []
        found = []
        for one in self._firsts:
            floor_ms = self._floor_ms(one.ended_ms)
            low, high = max(one.from_, self.created_ms or 0), min(one.through, floor_ms - 1)
            if low < floor_ms - SLACK_MS and low <= high:
                found.append((low, high, AWAY if one.is_between else EXPIRED))
        return found

    def forget_declared(self) -> None:
        """Forget the settled first scans, whose lost ranges have been declared."""
        if self._is_known:
            self._firsts = [one for one in self._firsts if not one.is_settled]

    def _floor_ms(self, now_ms: int) -> int:
        """Oldest timestamp that had not expired at a time.

        A setting that was lengthened since brings nothing back. Each scan is judged by the clock
        of its time: a clock that was wrong for a while must not expire everything for ever.
        """
        removed_ms = self._removed_ms if self._removed_ms <= now_ms - RETENTION_LEAST_MS else 0
        if self.retention_ms is None:
            return removed_ms
        return max(removed_ms, now_ms - self.retention_ms)


def concerns(reason: str, since: int) -> bool:
    """Whether a gap's reason concerns a viewer that asks for everything from ``since`` on.

    ``since`` 0 asks for all that there is, such as an execution from its first line: older time
    that has expired was not asked for.
    """
    return since > 0 or reason != EXPIRED
