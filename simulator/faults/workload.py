"""What the faults have in common that have something written."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial
from random import Random
from typing import NamedTuple

from simulator.acceptance import NewEvent
from simulator.faults.base import DAY_MS, Attribute, Cycle, Fault, Levers

EVERY_MS = Attribute("every_ms", 0, DAY_MS, "again after, 0 = once")
"""An attribute of all of them."""


class Writing(NamedTuple):
    """What is known when something is written.

    ``call`` counts the PutLogEvents calls of a turn from 0; ``streams`` are those of the running
    executions, at least one.
    """

    turn: int
    call: int
    now_ms: int
    streams: Sequence[str]
    rng: Random

    def stream(self, number: int) -> str:
        """The log stream of the event ``number``: in turn over all."""
        return self.streams[number % len(self.streams)]


class WritingFault(Fault):
    """Has events written, besides what the executions write; what is written stays.

    What CloudWatch refuses of them is not in the ledger.
    """

    def cycle(self) -> Cycle:
        """An instant, every ``every_ms``."""
        return Cycle(on_ms=0, every_ms=self.values["every_ms"])

    def start(self, levers: Levers, turn: int) -> None:
        """Have it written."""
        for call in range(self.calls()):
            levers.writer.submit(partial(self._compose, turn, call))

    def stop(self, levers: Levers) -> None:
        """Nothing: what is written stays."""

    def calls(self) -> int:
        """How many PutLogEvents calls, at least, write one turn's events."""
        return 1

    @abstractmethod
    def events(self, writing: Writing) -> Iterable[NewEvent]:
        """What one call writes."""

    def hits(self, writing: Writing) -> bool:
        """Whether the next event is hit, by ``toxicity``."""
        return writing.rng.random() < self.toxicity

    def _compose(
        self, turn: int, call: int, now_ms: int, streams: Sequence[str]
    ) -> Iterable[NewEvent]:
        rng = Random(f"{self.seed}/{turn}/{call}")  # noqa: S311 - a simulation
        return self.events(Writing(turn, call, now_ms, streams, rng)) if streams else ()
