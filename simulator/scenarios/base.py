"""What a scenario is: timed steps, performed by ``simulator.scenarios.conductor``. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, get_args

import msgspec

from simulator.errors import SimulatorError
from simulator.faults.board import FAULTS, FaultRequest, FaultSchedule
from wire.messages import UpstreamCode, UpstreamState

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

SPEED_MAX: Final = 100.0

STEPS_MAX: Final = 10_000
"""Most steps of a scenario."""


class Inject(NamedTuple):
    """Switch a fault on."""

    fault: FaultRequest


class Heal(NamedTuple):
    """Heal the fault of that name, if it is still on; without a name, every fault."""

    name: str = ""


class Write(NamedTuple):
    """Let the executions write, or stop writing."""

    running: bool


class Wait(NamedTuple):
    """Change nothing; the scenario lasts at least until here."""


Action = Inject | Heal | Write | Wait


class Step(NamedTuple):
    """An action ``at_ms`` after the scenario's start, and the text that the reader sees then."""

    at_ms: int
    action: Action = Wait()
    says: str = ""

    def saying(self, text: str) -> Step:
        """The same step with a text for the reader."""
        return self._replace(says=text)


class Setup(NamedTuple):
    """The simulator and viewer that a scenario needs; a running simulator keeps its own settings.

    Attributes:
        rate: Events a second, all executions together.
        executions: How many run at once.
        is_live: Whether a subscription filter sends events to a stream, beside the polls.
        group_age_ms: How long ago the log group was created; no event can be older.
        connect_after_ms: When the viewer connects, from the scenario's start; 0 = before it.
        since_ms: How far back the viewer requests history, from the scenario's start.
        forwarders: How many share the log group; with several, through a journal in PostgreSQL.
        expects: ``clean``: every accepted event is shown. ``declared``: CloudWatch itself has
            deleted some, and the viewer declares their range; no other event is missing.
        within_ms: The bound for convergence: how long after the end, with everything healed and
            the executions silent, the viewer may take until it is complete and verified.
        seed: The seed of a run that names none.
    """

    rate: float = 20.0
    executions: int = 4
    is_live: bool = True
    group_age_ms: int = 0
    connect_after_ms: int = 0
    since_ms: int = 30 * MINUTE_MS
    forwarders: int = 1
    expects: Literal["clean", "declared"] = "clean"
    within_ms: int = 2 * MINUTE_MS
    seed: int = 1


CONNECTION_STATES: Final = {
    "CONNECTING": "connecting",
    "BACKFILLING": "backfilling",
    "LIVE": "live",
    "DEGRADED": "polling",
    "RECONNECTING": "reconnecting",
    "FAILED": "failed",
    "ENDED": "ended",
}
"""The viewer's states by the names that it shows, as its record has them."""

CLOUDWATCH_STATES: Final = {
    one.upper(): one for one in (*get_args(UpstreamState), *get_args(UpstreamCode)) if one != "ok"
}
"""What the viewer shows of CloudWatch, by name, as its record has it."""


class Expectations(NamedTuple):
    """What the viewer must do for a run to pass, beside a clean verdict; None: no expectation.

    Attributes:
        lost: Most events that may be missing, each in a range that the viewer declares.
        reconnected_within_ms: From the end of each fault until lines can be received again.
        verified_within_ms: From the end of each fault until everything up to it is verified.
        recovered_at_least: Lines received after outages, all together.
        states_seen: Names of ``CONNECTION_STATES`` or ``CLOUDWATCH_STATES``; all must occur.
    """

    lost: int = 0
    reconnected_within_ms: int | None = None
    verified_within_ms: int | None = None
    recovered_at_least: int | None = None
    states_seen: tuple[str, ...] = ()


class Scenario(NamedTuple):
    """A rehearsal: timed steps that switch faults, and the simulator that they need.

    After the last step every fault is healed and the executions write again.

    Attributes:
        name: Its name.
        doc: One line on it.
        steps: Its steps for a seed, in the order of their times; the same for the same seed.
        setup: The simulator that it needs, but for what ``varies``.
        story: What happens, and what a correct system shows.
        expect: What the viewer must do.
        script: The text of the scenario file that it was read from; empty for a built-in one.
        path: The path of that file.
        varies: Returns the setup for a seed, from ``setup`` and that seed; see ``setup_for``.
    """

    name: str
    doc: str
    steps: Callable[[int], Sequence[Step]]
    setup: Setup = Setup()
    story: str = ""
    expect: Expectations = Expectations()
    script: str = ""
    path: str = ""
    varies: Callable[[Setup, int], Setup] = lambda setup, _: setup

    def setup_for(self, seed: int) -> Setup:
        """The simulator that it needs for a seed."""
        return self.varies(self.setup, seed)._replace(seed=seed)

    def describe(self) -> dict[str, object]:
        """The scenario as the control API and ``gapless scenario list --json`` show it.

        Its setup is that for the seed which it names.
        """
        return {
            "name": self.name,
            "doc": self.doc,
            "story": " ".join(self.story.split()),
            "setup": self.setup_for(self.setup.seed)._asdict(),
        }


def inject(
    at_ms: int, kind: str, *, name: str = "", toxicity: float | None = None, **attributes: int
) -> Step:
    """A step that switches a fault of the type ``kind`` on."""
    fault = FaultRequest(type=kind, name=name, toxicity=toxicity, attributes=attributes)
    return Step(at_ms, Inject(fault))


def heal(at_ms: int, name: str = "", says: str = "") -> Step:
    """A step that heals the fault of that name, or every fault."""
    return Step(at_ms, Heal(name), says)


def say(at_ms: int, says: str) -> Step:
    """A step that only shows a text."""
    return Step(at_ms, Wait(), says)


def fixed(*steps: Step) -> Callable[[int], Sequence[Step]]:
    """The same steps for every seed."""
    return lambda _: steps


def in_order(scenario: Scenario, seed: int, speed: float = 1.0) -> list[Step]:
    """The steps of a scenario for a seed, by time, ``speed`` times as fast.

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
        schedule = FaultSchedule(**_hurried_schedule(fault.schedule, speed))
        action = Inject(msgspec.structs.replace(fault, attributes=values, schedule=schedule))
    return step._replace(at_ms=round(step.at_ms / speed), action=action)


def _hurried_schedule(schedule: FaultSchedule, speed: float) -> dict[str, int]:
    """A schedule's times divided by ``speed``, with the rules of ``hurried``."""
    times: dict[str, int] = msgspec.to_builtins(schedule)
    return {
        name: (int(ms / speed) + (name == "every_ms") or 1) if ms else 0
        for name, ms in times.items()
    }


def hurried(kind: str, attributes: Mapping[str, int], speed: float) -> dict[str, int]:
    """A fault's attributes with all durations divided by ``speed``.

    Defaults that the fault would take are divided too. A number above 0 stays above 0, since 0
    means something else: until healed, or once. ``every_ms`` is rounded up and the durations
    within it down, so that they still fit.
    """
    if kind not in FAULTS:
        return dict(attributes)
    durations = {
        one.name: one.default
        for one in FAULTS[kind].attributes
        if one.name.endswith("_ms") and not one.is_age
    }
    found = dict(attributes)
    for name, default in durations.items():
        value = found.get(name, default)
        if value:
            divided = int(value / speed)
            found[name] = 1 + divided if name == "every_ms" else max(1, divided)
    return found
