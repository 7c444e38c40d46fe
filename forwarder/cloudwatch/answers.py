"""Notices that CloudWatch does not answer, long before a call times out. Pure.

A dead connection swallows packets without an error, so that a call fails only after its timeout.
Slow calls must not be aborted sooner, but people should see early why nothing arrives.
"""

from __future__ import annotations

from typing import Final

SILENT_MS: Final = 3_000
"""Time without an answer to a running call after which the silence is reported."""

SLOW_FACTOR: Final = 2
"""How many times longer than the slowest recent call a running one may take."""

FORGET: Final = 0.9
"""Share of the slowest call's duration that each faster one leaves."""


class AnswerWatch:
    """The running calls of one endpoint; times are ms of any one clock.

    Calls begin and end in threads: each method is a few operations on built-in types.
    """

    def __init__(self) -> None:
        """Start without calls."""
        self._begun: dict[int, int] = {}
        self._number = 0
        self._answered_ms = 0
        self._slowest_ms = 0.0

    def begin(self, at_ms: int) -> int:
        """Note that a call is sent; returns its number."""
        number = self._number = self._number + 1
        self._begun[number] = at_ms
        return number

    def end(self, number: int, at_ms: int, *, is_answered: bool) -> None:
        """Note that a call ended, by an answer or by an error."""
        begun_ms = self._begun.pop(number)
        if is_answered:
            self._answered_ms = at_ms
            self._slowest_ms = max(at_ms - begun_ms, self._slowest_ms * FORGET)

    def waited_ms(self, at_ms: int) -> int:
        """How long running calls have waited for any answer; 0 while none runs."""
        since_ms = self._since_ms
        return 0 if since_ms is None else at_ms - since_ms

    @property
    def silent_from_ms(self) -> int | None:
        """When the present silence is to be reported; None while no call runs."""
        since_ms = self._since_ms
        if since_ms is None:
            return None
        return since_ms + max(SILENT_MS, int(SLOW_FACTOR * self._slowest_ms))

    def silent_ms(self, at_ms: int) -> int | None:
        """Duration of a silence that is to be reported; None while answers come."""
        from_ms = self.silent_from_ms
        return None if from_ms is None or at_ms < from_ms else self.waited_ms(at_ms)

    @property
    def _since_ms(self) -> int | None:
        """Start of the silence: the oldest running call, or a later answer to another call."""
        begun = list(self._begun.values())
        return max(min(begun), self._answered_ms) if begun else None
