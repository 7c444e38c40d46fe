"""What a fault is: a row in the table of its family, and one such fault switched on. Pure.

Names and vocabulary follow Shopify's toxiproxy: a fault of a ``type``, under a ``name``, with
``toxicity`` and ``attributes``. A fault reads no clock and touches nothing. Its ``Cycle`` says
when it is on, and ``simulator.faults.board`` switches it; for each turn it returns a *harm*, a
plain value, which ``simulator.levers`` applies to the object that it harms, and later undoes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final, Literal, NamedTuple

from simulator.cloudwatch.levers import Lever, LeverOrder
from simulator.errors import SimulatorError
from simulator.network.toxics import Strain
from simulator.oracle.ledger import Ledger
from simulator.workload.writer import Compose

DAY_MS: Final = 24 * 3_600_000

Values = Mapping[str, int]
"""A fault's attributes, all of them, by name."""

Journal = Literal["kept", "lost", "rolled_back"]
"""What becomes of the forwarder's journal while the forwarder is down."""

Ending = Literal["over", "healed"]
"""Why a harm ends: its own time is over, or someone healed it before that."""

Note = Callable[[Ledger, LeverOrder, int, int], None]
"""Notes in the ledger what a lever changes about the events that a viewer can show.

Arguments: the ledger, the order, and the ms at which the stand-in engaged the lever and at which
its answer had arrived.
"""


class CutCable(NamedTuple):
    """Resets a share (0..1) of the connections, present and new."""

    share: float
    seed: int


class StrainCable(NamedTuple):
    """Puts a share (0..1) of the connections, present and new, under a strain."""

    strain: Strain
    share: float
    seed: int


class CloseWebSockets(NamedTuple):
    """Closes a share (0..1) of the open WebSockets with a close code; there is nothing to undo."""

    code: int
    share: float
    seed: int


class GatherCrowd(NamedTuple):
    """Connects ``clients`` clients at once, and again whenever they are cut off."""

    clients: int


class EngageLever(NamedTuple):
    """Engages a lever inside the CloudWatch stand-in, and notes it in the ledger."""

    order: LeverOrder
    note: Note


class WriteEvents(NamedTuple):
    """Writes events beside the workload, one PutLogEvents call or more for each item.

    There is nothing to undo: events that were written stay.
    """

    calls: tuple[Compose, ...]


class CrashForwarder(NamedTuple):
    """Kills the forwarder with SIGKILL in ``after_ms``, and keeps it down until the harm ends."""

    after_ms: int
    journal: Journal


class FillDisk(NamedTuple):
    """Lets the forwarder's journal grow by no more than ``room_bytes``."""

    room_bytes: int


class KillViewers(NamedTuple):
    """Kills a share (0..1) of the registered viewers with SIGKILL; there is nothing to undo."""

    share: float
    seed: int


class CrashOwner(NamedTuple):
    """Kills the process that owns the log group in ``after_ms``; down until the harm ends."""

    after_ms: int


class PauseOwner(NamedTuple):
    """Stops the process that owns the log group (SIGSTOP), until the harm ends."""


class CrashServer(NamedTuple):
    """Kills the server that most viewers are connected to; down until the harm ends."""

    after_ms: int


class CrashEngine(NamedTuple):
    """Kills the database of a cluster with SIGKILL; down until the harm ends."""


class FailOver(NamedTuple):
    """Kills the database of a cluster and promotes its standby; replaced when the harm ends."""


class PauseEngine(NamedTuple):
    """Stops the database of a cluster (SIGSTOP), which answers nothing until the harm ends."""


class SetEngineBack(NamedTuple):
    """Copies the database of a cluster, and restores the copy when the harm's time is over.

    Nothing is restored if it is healed before that.
    """


class SetClock(NamedTuple):
    """Sets the forwarder's wall clock ahead by ``offset_ms``; negative: behind."""

    offset_ms: int


ClusterHarm = (
    CrashOwner | PauseOwner | CrashServer | CrashEngine | FailOver | PauseEngine | SetEngineBack
)
"""What only a cluster can suffer."""

Harm = (
    CutCable
    | StrainCable
    | CloseWebSockets
    | GatherCrowd
    | EngageLever
    | WriteEvents
    | CrashForwarder
    | FillDisk
    | KillViewers
    | SetClock
    | ClusterHarm
)


class Attribute(NamedTuple):
    """A parameter of a fault, a whole number; its unit is the end of its name.

    ``is_age`` marks a distance in time that says how wrong something is, such as how late an
    event is. A scenario at higher speed divides every other attribute in ms, but not this one.
    """

    name: str
    default: int
    maximum: int
    meaning: str
    minimum: int = 0
    is_age: bool = False

    def describe(self) -> dict[str, Any]:
        """The attribute as the control API shows it."""
        return {name: value for name, value in self._asdict().items() if name != "is_age"}


FOR_MS: Final = Attribute("for_ms", 0, DAY_MS, "how long, 0 = until healed")
EVERY_MS: Final = Attribute("every_ms", 0, DAY_MS, "repeated after, 0 = once")


class Phase(NamedTuple):
    """Where a fault is in its cycle: which turn, on or off, ms until that changes (None: never)."""

    turn: int
    is_on: bool
    change_in_ms: int | None


class Cycle(NamedTuple):
    """When a fault is on: for ``on_ms`` (0: an instant, None: until healed), every ``every_ms``.

    ``every_ms`` 0 = one turn only.
    """

    on_ms: int | None = None
    every_ms: int = 0

    def phase(self, elapsed_ms: int) -> Phase | None:
        """The phase at ``elapsed_ms`` after the start; None: the fault is over."""
        turn, within = divmod(elapsed_ms, self.every_ms) if self.every_ms else (0, elapsed_ms)
        rest_ms = self.every_ms - within if self.every_ms else 0
        if self.on_ms is None:
            return Phase(turn, is_on=True, change_in_ms=rest_ms or None)
        if within < self.on_ms:
            return Phase(turn, is_on=True, change_in_ms=self.on_ms - within)
        return Phase(turn, is_on=False, change_in_ms=rest_ms) if self.every_ms else None


def lasting(values: Values) -> Cycle:
    """Cycle by the attributes ``for_ms`` (0 = until healed) and ``every_ms``, where they exist."""
    return Cycle(values.get("for_ms") or None, values.get("every_ms", 0))


def instant(values: Values) -> Cycle:
    """Cycle of a fault that takes an instant, again every ``every_ms`` where that exists."""
    return Cycle(0, values.get("every_ms", 0))


class Fault:
    """One fault that is switched on, under a name of its own."""

    def __init__(
        self, kind: FaultType, name: str, given: Values, toxicity: float, seed: int
    ) -> None:
        """Take the attributes in ``given``, and defaults for the rest; ``toxicity`` is 0..1.

        Raises:
            SimulatorError: an attribute is unknown or out of range, or two contradict each other.
        """
        self.kind = kind
        self.name = name
        self.toxicity = toxicity
        self.seed = seed
        known = {one.name: one for one in kind.attributes}
        self.values = {one.name: one.default for one in kind.attributes}
        for attribute, value in given.items():
            if attribute not in known:
                names = ", ".join(known) or "none"
                msg = f"{kind.type} has no attribute {attribute!r}; it has: {names}"
                raise SimulatorError(msg)
            low, high = known[attribute].minimum, known[attribute].maximum
            if not low <= value <= high:
                msg = f"{attribute} must be a whole number from {low} to {high}, not {value}"
                raise SimulatorError(msg)
            self.values[attribute] = value
        contradiction = kind.contradiction(self.values)
        if contradiction is not None:
            raise SimulatorError(contradiction)

    def cycle(self) -> Cycle:
        """When the fault is on."""
        return self.kind.cycle(self.values)

    def harm(self, turn: int) -> Harm | None:
        """What the fault does in a turn of its cycle, counted from 0; None: nothing this time."""
        return self.kind.harm(self, turn)

    def rng(self, *turn: int) -> Random:
        """Random numbers of one turn (and of one call within it), the same for the same seed."""
        return Random("/".join(map(str, (self.seed, *turn))))  # noqa: S311 - a simulation


_LeverType = type[Lever]


class FaultType(NamedTuple):
    """A fault that can be switched on: one row in the table of its family.

    ``FAULTS.md`` beside this module says what a correct system shows while it is on.

    Attributes:
        type: Its name in the control API.
        meaning: One sentence on what it does, for a person who chooses.
        harm: What a turn does; None where the draw spares it.
        attributes: The numbers that it takes.
        cycle: When it is on, by its attributes.
        toxicity: The share (0..1) that it hits by default.
        contradiction: Says how attributes contradict each other; None where they do not.
        lever: What does the harm inside the CloudWatch stand-in; None for other faults.
        affects: What is counted that a fault without a lever affects, as a plural.
    """

    type: str
    meaning: str
    harm: Callable[[Fault, int], Harm | None]
    attributes: tuple[Attribute, ...] = ()
    cycle: Callable[[Values], Cycle] = lasting
    toxicity: float = 1.0
    contradiction: Callable[[Values], str | None] = lambda _: None
    lever: _LeverType | None = None
    affects: str = "turns"

    @property
    def counts(self) -> str:
        """What is counted that it affects, as a plural; ``turns``: only how often it was done."""
        return self.affects if self.lever is None else self.lever.counts

    def describe(self) -> dict[str, Any]:
        """The fault type as the control API shows it."""
        return {
            "type": self.type,
            "meaning": self.meaning,
            "toxicity": self.toxicity,
            "counts": self.counts,
            "attributes": [one.describe() for one in self.attributes],
        }
