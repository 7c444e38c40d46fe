"""Pure: what a scenario is. It says what happens when; ``simulator.conductor`` does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from simulator.faults.board import FaultRequest


class Inject(NamedTuple):
    """Switch a fault on."""

    fault: FaultRequest


class Heal(NamedTuple):
    """Heal the fault of that name, if it is still on; without a name, every fault."""

    name: str = ""


class Write(NamedTuple):
    """Let the executions write, or fall silent."""

    running: bool


class Wait(NamedTuple):
    """Nothing: the scenario lasts until here."""


Action = Inject | Heal | Write | Wait


class Step(NamedTuple):
    """What happens ``at_ms`` after the scenario's start, and what is said to the reader then."""

    at_ms: int
    action: Action = Wait()
    says: str = ""


class Scenario(NamedTuple):
    """A name, one line on it, and its steps for a seed, in the order of their times.

    ``steps`` is pure: the same seed gives the same steps. After the last one every fault is
    healed and the executions write, whatever the steps left behind.
    """

    name: str
    doc: str
    steps: Callable[[int], Sequence[Step]]
