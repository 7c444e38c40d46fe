"""The ends of executions while no WebSocket can be had, which would tell them. Pure.

Two rounds of polling, a whole round apart, must agree on an execution's status, last event and
count, and everything of it must be proved both times; that is what ``end`` stands for.
"""

from __future__ import annotations

from typing import Final, get_args

from tui.client.effects import Effect
from tui.client.holdings import Holdings
from wire.digest import digest_hex
from wire.messages import End, Execution, ExecutionStatus
from wire.query import Filter

_ENDED: Final = frozenset(get_args(ExecutionStatus)) - {"UNKNOWN"}
"""UNKNOWN may also mean that the forwarder does not look for ends."""


class PollEnds:
    """The executions that a filter names, until each has ended.

    Args:
        holdings: What the viewer has of them.
        wanted: The filter.

    """

    def __init__(self, holdings: Holdings, wanted: Filter) -> None:
        """None has ended yet."""
        self._holdings = holdings
        self._wanted = wanted
        self._before: dict[str, Execution] = {}

    @property
    def are_open(self) -> bool:
        """Whether there is one that has not ended."""
        return not set(self._wanted.executions) <= {end.execution for end in self._holdings.ends}

    def take(self, rows: list[Execution], seq: int) -> list[Effect]:
        """What the forwarder says of all executions now; the ends that follow from it."""
        holdings, effects = self._holdings, list[Effect]()
        over = {
            row.execution: row
            for row in rows
            if row.execution in self._wanted.executions and row.status in _ENDED
        }
        for execution, row in over.items():
            if row.first is None or row.last is None or not holdings.proof.covers(0, row.last):
                continue
            if self._before.get(execution) != row:
                continue
            own = holdings.total(row.first, row.last, seq)
            end = End(
                execution=execution,
                status=_status(row),
                from_=row.first,
                through=row.last,
                seq=seq,
                count=own.count,
                digest=digest_hex(own.digest),
            )
            effects += holdings.judge_end(end).effects
        self._before = over
        return effects


def _status(row: Execution) -> ExecutionStatus:
    return "UNKNOWN" if row.status == "RUNNING" else row.status
