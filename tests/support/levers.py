"""Levers that only remember how they were pulled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from simulator.batches import NewEvent
from simulator.errors import SimulatorError
from simulator.faults.base import Levers


class Remembered:
    """All three levers; ``calls`` is what was done with them, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.composed: list[Callable[[int, Sequence[str]], Iterable[NewEvent]]] = []
        self.broken = False

    def _note(self, *call: str) -> None:
        self.calls.append(call)
        if self.broken:
            msg = "the lever broke"
            raise SimulatorError(msg)

    def pull(self, owner: str, share: float, seed: int) -> None:
        del share, seed
        self._note("pull", owner)

    def plug(self, owner: str) -> None:
        self._note("plug", owner)

    def delay_visibility(
        self, owner: str, delay_ms: int, jitter_ms: int, share: float, seed: int
    ) -> None:
        del seed
        self._note("delay", owner, f"{delay_ms}+-{jitter_ms}", f"{share:g}")

    def show(self, owner: str) -> None:
        self._note("show", owner)

    def submit(self, compose: Callable[[int, Sequence[str]], Iterable[NewEvent]]) -> None:
        self.composed.append(compose)
        self._note("submit")

    def levers(self) -> Levers:
        """As a fault gets them."""
        return Levers(self, self, self)
