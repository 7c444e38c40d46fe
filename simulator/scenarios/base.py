"""Scenarios say what happens when; ``simulator.scenarios.conductor`` does it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from simulator.errors import SimulatorError
from simulator.faults import FAULTS, WORKLOAD
from simulator.faults.board import FaultRequest

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

SPEED_MAX: Final = 100.0

_AGES: Final = frozenset({("clock_jump", "ahead_ms"), ("clock_jump", "behind_ms")})
"""Attributes that end in ``_ms`` and say how wrong something is, not how long it lasts."""

_WRITTEN: Final = frozenset({"duplicate_timestamps", *(one.type for one in WORKLOAD)})
"""Faults of the workload: their times are those of events, but for ``every_ms``."""


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


class Setup(NamedTuple):
    """What a scenario wants around it; only a fresh simulator can give it all.

    Attributes:
        rate: events a second, all executions together.
        executions: how many run at once.
        is_live: whether a subscription filter sends events to a stream, beside the polls.
        group_age_ms: how long ago the log group was made; what is older than it can't be missing.
        connect_after_ms: when the viewer connects, from the scenario's start; 0 = before it.
        since_ms: how far back the viewer asks for, counted from the scenario's start.
        expects: ``clean``: everything accepted is shown. ``declared``: CloudWatch itself has
            taken some of it away, and the viewer says so, with the range; nothing else is missing.
        within_ms: the bound for convergence: how long after the end, with everything healed and
            the executions silent, the viewer may take until it is complete and proved to be.

    """

    rate: float = 20.0
    executions: int = 4
    is_live: bool = True
    group_age_ms: int = 0
    connect_after_ms: int = 0
    since_ms: int = 30 * MINUTE_MS
    expects: Literal["clean", "declared"] = "clean"
    within_ms: int = 2 * MINUTE_MS


class Scenario(NamedTuple):
    """A name, one line on it, and its steps for a seed, in the order of their times.

    ``steps`` is pure: the same seed gives the same steps. After the last one every fault is
    healed and the executions write, whatever the steps left behind. ``story`` says what it does
    and what a correct system shows.
    """

    name: str
    doc: str
    steps: Callable[[int], Sequence[Step]]
    setup: Setup = Setup()
    story: str = ""

    def told(self) -> dict[str, object]:
        """As the control API and ``gapless scenario list --json`` show it."""
        return {
            "name": self.name,
            "doc": self.doc,
            "story": " ".join(self.story.split()),
            "setup": self.setup._asdict(),
        }


def inject(
    at_ms: int,
    kind: str,
    says: str = "",
    *,
    name: str = "",
    toxicity: float | None = None,
    **attributes: int,
) -> Step:
    """A step that switches a fault of the type ``kind`` on."""
    fault = FaultRequest(type=kind, name=name, toxicity=toxicity, attributes=attributes)
    return Step(at_ms, Inject(fault), says)


def heal(at_ms: int, name: str = "", says: str = "") -> Step:
    """A step that heals a fault, or every fault."""
    return Step(at_ms, Heal(name), says)


def say(at_ms: int, says: str) -> Step:
    """A step at which something is said, and no more."""
    return Step(at_ms, Wait(), says)


def in_order(scenario: Scenario, seed: int, speed: float = 1.0) -> list[Step]:
    """The steps for a seed, by time, ``speed`` times as fast.

    Raises:
        SimulatorError: the speed is out of range.

    """
    if not 1 <= speed <= SPEED_MAX:
        msg = f"speed must be from 1 to {SPEED_MAX:.0f}, not {speed:g}"
        raise SimulatorError(msg)
    steps = sorted(scenario.steps(seed), key=lambda step: step.at_ms)
    return steps if speed == 1 else [_hurried(step, speed) for step in steps]


def _hurried(step: Step, speed: float) -> Step:
    action = step.action
    if isinstance(action, Inject):
        fault = action.fault
        values = hurried(fault.type, fault.attributes, speed)
        action = Inject(msgspec.structs.replace(fault, attributes=values))
    return step._replace(at_ms=round(step.at_ms / speed), action=action)


def hurried(kind: str, attributes: Mapping[str, int], speed: float) -> dict[str, int]:
    """A fault's attributes where everything lasts ``speed`` times less long.

    A default that the fault would take is divided, too. What is not 0 stays above 0, since 0
    means something else: until healed, or once. ``every_ms`` is rounded up and what lies within
    it down, so that they still fit.
    """
    defaults = {one.name: one.default for one in FAULTS[kind].attributes} if kind in FAULTS else {}
    found = dict(attributes)
    for name, value in (defaults | dict(attributes)).items():
        if not value or not _lasts(kind, name):
            continue
        found[name] = 1 + int(value / speed) if name == "every_ms" else max(1, int(value / speed))
    return found


def _lasts(kind: str, name: str) -> bool:
    """Whether an attribute is how long something of the fault itself lasts."""
    if not name.endswith("_ms") or (kind, name) in _AGES:
        return False
    return name == "every_ms" or kind not in _WRITTEN
