"""What CloudWatch's retention took before any scan had seen it. Pure.

A scan that is the first to look at a time older than the retention setting can't say what was
there: that is declared, never called complete. What is not declared: time before the log group
was made, and time that was scanned before it expired. Without permission for DescribeLogGroups
the setting is not known, and nothing is.

The setting may be made shorter at any time, and take what it takes at once, so that a first scan
of what is older than the least setting is settled by an answer that was asked for after its last
page, not by what was known before. One that was made shorter and longer again in between leaves
no trace.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from common.ranges import Range

RETENTION_LEAST_MS: Final = 86_400_000
"""The least retention setting (service model, PutRetentionPolicy)."""

SLACK_MS: Final = 3_600_000
"""Expired events go after hours or days ("up to 72 hours", user guide), not at once: who asks
for just as long as the setting says is not told of the moments that it took to ask."""

FIRSTS_MAX: Final = 1_000
"""Ranges that wait for the setting to be known."""

EXPIRED: Final = (
    "older than what CloudWatch Logs keeps of this log group: nobody can say what was there"
)
AWAY: Final = (
    "the forwarder was away for longer than CloudWatch Logs keeps events of this log group"
)
"""Reasons of gaps that can't be recovered."""


class _First(msgspec.Struct, frozen=True):
    """The first scan of a range, and whether it waits for an answer that was asked for later."""

    from_: int
    through: int
    ended_ms: int
    is_between: bool
    number: int
    is_settled: bool


class Expiry:
    """One log group's; told of every first scan of a time, and of the group's settings."""

    def __init__(self) -> None:
        """Nothing is known of the group."""
        self.retention_ms: int | None = None
        self.created_ms: int | None = None
        self._is_known = False
        self._looked_ms = 0
        self._gone_ms = 0
        self._firsts: list[_First] = []
        self.number = 0
        """First scans so far: who asks for the settings says how many there were."""

    @property
    def is_settled(self) -> bool:
        """Whether no first scan waits for the settings to be asked for."""
        return all(one.is_settled for one in self._firsts)

    def learned(
        self, retention_ms: int | None, created_ms: int | None, number: int | None = None
    ) -> None:
        """What DescribeLogGroups says: None for no retention, or for no time of creation.

        It settles the first scans up to ``number``, after which it was asked; None: all.
        """
        was_ms = self.retention_ms
        if was_ms is not None and (retention_ms is None or retention_ms > was_ms):
            self._gone_ms = self._looked_ms - was_ms
        self.retention_ms, self.created_ms = retention_ms, created_ms
        self._is_known = True
        self._firsts = [
            one if number is not None and one.number > number else replace(one, is_settled=True)
            for one in self._firsts
        ]

    def first_scanned(
        self,
        pieces: Iterable[Range],
        ended_ms: int,
        oldest_ms: int | None,
        *,
        is_settled: bool = False,
    ) -> None:
        """A scan that ended then was the first of these ranges.

        Args:
            pieces: the ranges.
            ended_ms: what had expired by then may have gone while it was on its way.
            oldest_ms: the oldest time that was scanned before; None: none was.
            is_settled: whether the settings were asked for after its last page.

        """
        self._looked_ms = ended_ms
        for from_, through in pieces:
            if from_ < ended_ms - RETENTION_LEAST_MS:
                self.number += 1
                is_between = oldest_ms is not None and oldest_ms < from_
                first = _First(from_, through, ended_ms, is_between, self.number, is_settled)
                self._firsts.append(first)
        del self._firsts[:-FIRSTS_MAX]

    def declared(self) -> None:
        """What was due has been declared."""
        if self._is_known:
            self._firsts = [one for one in self._firsts if not one.is_settled]

    def due(self) -> list[tuple[int, int, str]]:
        """What is to be declared: ranges that can't be had, each with its reason."""
        if not self._is_known:
            return []
        found = []
        for one in self._firsts:
            floor_ms = self._floor(one.ended_ms)
            low, high = max(one.from_, self.created_ms or 0), min(one.through, floor_ms - 1)
            if low < floor_ms - SLACK_MS and low <= high:
                found.append((low, high, AWAY if one.is_between else EXPIRED))
        return found

    def _floor(self, now_ms: int) -> int:
        """What is older has expired; a setting that was made longer since brings nothing back.

        Each scan by the clock as it was then: one that was set wrong for a while must not
        make everything older than what the clock said expired for ever.
        """
        gone_ms = self._gone_ms if self._gone_ms <= now_ms - RETENTION_LEAST_MS else 0
        return gone_ms if self.retention_ms is None else max(gone_ms, now_ms - self.retention_ms)


def concerns(reason: str, since: int) -> bool:
    """Whether who asked for everything since then is to be told of a gap with that reason.

    ``since`` 0 asks for all that there is, an execution from its first line for one: what is
    older than that was not asked for.
    """
    return since > 0 or reason != EXPIRED
