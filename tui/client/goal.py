"""When a viewer without a screen is done, and with which exit code. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from common.iso import iso_range
from tui.client.session import ViewerSession
from tui.client.status import EndStatus

EXIT_DONE: Final = 0
EXIT_FAILURE: Final = 1
EXIT_CANNOT_CONNECT: Final = 3
EXIT_INCOMPLETE: Final = 4
EXIT_FAILED: Final = 5
EXIT_STOPPED: Final = 6


class Goal(msgspec.Struct, frozen=True):
    """What the viewer is to reach; nothing given: it goes on for ever."""

    through_ms: int | None = None
    """Everything up to this time is proved, or known not to be had (``--until``)."""
    executions: tuple[str, ...] = ()
    """Every one of these executions has ended."""


class Outcome(msgspec.Struct, frozen=True):
    """How it ended: an exit code of the command, and one line for stderr, maybe empty."""

    code: int
    reason: str = ""


def reached(goal: Goal, sessions: Sequence[ViewerSession]) -> Outcome | None:
    """The outcome, once the goal is reached."""
    if goal.executions:
        outcome = _ended(goal, sessions)
        if outcome is not None:
            return outcome
    return None if goal.through_ms is None else _covered(goal.through_ms, sessions)


def _ended(goal: Goal, sessions: Sequence[ViewerSession]) -> Outcome | None:
    """An end counts once it is proved, or was given up after it was sent again [13]."""
    ends: dict[str, EndStatus] = {}
    for session in sessions:
        proof = session.holdings.proof
        for end in session.holdings.ends:
            if end.equal or proof.has_failed(end.from_ms, end.through_ms):
                ends[end.execution] = end
    if not all(execution in ends for execution in goal.executions):
        return None
    unequal = [end for end in ends.values() if not end.equal]
    if unequal:
        one = unequal[0]
        reason = f"execution {one.execution}: not all of {iso_range(one.from_ms, one.through_ms)}"
        return Outcome(EXIT_INCOMPLETE, reason)
    statuses = {ends[execution].status for execution in goal.executions}
    if "FAILED" in statuses:
        return Outcome(EXIT_FAILED)
    return Outcome(EXIT_STOPPED if "STOPPED" in statuses else EXIT_DONE)


def _covered(through_ms: int, sessions: Sequence[ViewerSession]) -> Outcome | None:
    """Nothing more can come: all of it is proved, lost, or was given up [13]."""
    missing: list[tuple[int, int]] = []
    for session in sessions:
        proof, since = session.holdings.proof, session.since
        if since is None or not session.is_done:
            return None
        if through_ms < since:
            continue
        accounted = proof.accounted_through(since)
        if accounted is None or accounted < through_ms:
            return None
        missing += [
            (max(low, since), min(high, through_ms))
            for low, high in proof.known_missing()
            if low <= through_ms and high >= since
        ]
    if not missing:
        return Outcome(EXIT_DONE)
    return Outcome(
        EXIT_INCOMPLETE, "not complete: " + ", ".join(iso_range(*one) for one in missing)
    )
