"""What every fault is: a name, attributes with units, a share that it hits, a seed, a cycle.

Names and vocabulary follow Shopify's toxiproxy: a fault of a ``type``, under a ``name``, with
``toxicity`` and ``attributes``. A fault decides nothing about time: its ``Cycle`` says when it is
on, and ``simulator.faults.board`` switches it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Final, Literal, NamedTuple, Protocol

from simulator.acceptance import NewEvent
from simulator.cloudwatch.levers import Lever
from simulator.errors import SimulatorError
from simulator.network.toxics import Strain

DAY_MS: Final = 24 * 3_600_000

Journal = Literal["kept", "lost", "rolled_back"]
"""What becomes of the forwarder's journal while it is down."""


class Attribute(NamedTuple):
    """A whole number that a fault can be given; its unit is the end of its name."""

    name: str
    default: int
    maximum: int
    meaning: str
    minimum: int = 0


class Phase(NamedTuple):
    """Where a fault is in its cycle: which turn, on or off, ms until that changes (None: never)."""

    turn: int
    is_on: bool
    change_in_ms: int | None


class Cycle(NamedTuple):
    """On for ``on_ms`` (0 = just an instant, None = until healed), again every ``every_ms``.

    ``every_ms`` 0 = one turn only.
    """

    on_ms: int | None = None
    every_ms: int = 0

    def phase(self, elapsed_ms: int) -> Phase | None:
        """The phase that long after the start; None = over."""
        turn, within = divmod(elapsed_ms, self.every_ms) if self.every_ms else (0, elapsed_ms)
        rest_ms = self.every_ms - within if self.every_ms else 0
        if self.on_ms is None:
            return Phase(turn, is_on=True, change_in_ms=rest_ms or None)
        if within < self.on_ms:
            return Phase(turn, is_on=True, change_in_ms=self.on_ms - within)
        return Phase(turn, is_on=False, change_in_ms=rest_ms) if self.every_ms else None


class CableLever(Protocol):
    """The cable between viewer and forwarder, from any thread."""

    def pull(self, owner: str, share: float, seed: int) -> None:
        """Cut that share of the connections, present and new, until ``plug(owner)``."""
        ...

    def plug(self, owner: str) -> None:
        """Let connections pass, unless another owner has it out."""
        ...

    def strain(self, owner: str, strain: Strain, share: float, seed: int) -> None:
        """Put that share of the connections, present and new, under a strain; see ``ease``."""
        ...

    def ease(self, owner: str) -> None:
        """Take the owner's strain away."""
        ...

    def close_with(self, code: int, share: float, seed: int) -> None:
        """Close that share of the present WebSockets with a code."""
        ...

    def gather(self, owner: str, clients: int) -> None:
        """Let that many clients connect at once, and again whenever they are cut off."""
        ...

    def disperse(self, owner: str) -> None:
        """Let them go."""
        ...


class CloudWatchLever(Protocol):
    """CloudWatch, from any thread."""

    def pull(
        self, owner: str, kind: str, attributes: Mapping[str, int], share: float, seed: int
    ) -> None:
        """Engage the lever of the fault type ``kind``, in place of the owner's earlier one.

        Raises:
            SimulatorError: this CloudWatch can't, or did not answer.

        """
        ...

    def release(self, owner: str) -> None:
        """Release the owner's lever; none is fine, too.

        Raises:
            SimulatorError: it did not answer.

        """
        ...


class ProgramsLever(Protocol):
    """The programs themselves, from any thread."""

    def crash(self, owner: str, after_ms: int, journal: Journal) -> None:
        """SIGKILL the forwarder in ``after_ms``, and keep it down until ``restart(owner)``.

        Raises:
            SimulatorError: its journal can't be touched.

        """
        ...

    def restart(self, owner: str, *, is_called_off: bool) -> None:
        """Start it again, unless another keeps it down.

        A kill that is still to come is called off, or done at once.
        """
        ...

    def fill_disk(self, owner: str, room_bytes: int) -> None:
        """Let the forwarder write no more than that to its journal, until ``free_disk``.

        Raises:
            SimulatorError: this system can't.

        """
        ...

    def free_disk(self, owner: str) -> None:
        """Let it write again."""
        ...

    def kill_viewers(self, share: float, seed: int) -> None:
        """SIGKILL that share of the viewers that were handed over.

        Raises:
            NobodyError: there are none.

        """
        ...

    def set_clock(self, owner: str, offset_ms: int) -> None:
        """Let the forwarder's wall clock be ahead by that much, until ``right_clock``.

        Raises:
            SimulatorError: this forwarder's clock can't be set.

        """
        ...

    def right_clock(self, owner: str) -> None:
        """Let it be right again, unless another has set it."""
        ...


class WriterLever(Protocol):
    """What writes to CloudWatch, from any thread."""

    def submit(self, compose: Callable[[int, Sequence[str]], Iterable[NewEvent]]) -> None:
        """Write what ``compose(now_ms, streams of the running executions)`` returns, soon.

        Raises:
            SimulatorError: too much is waiting already.

        """
        ...


class Levers(NamedTuple):
    """All that a fault can get its hands on."""

    cable: CableLever
    cloudwatch: CloudWatchLever
    writer: WriterLever
    programs: ProgramsLever


class Fault(ABC):
    """One fault that is switched on, under a name of its own."""

    type: ClassVar[str]
    """What the control API calls it."""

    attributes: ClassVar[tuple[Attribute, ...]] = ()
    """What it can be given."""

    toxicity_default: ClassVar[float] = 1.0
    """The share that it hits unless told otherwise."""

    def __init__(self, name: str, given: Mapping[str, int], toxicity: float, seed: int) -> None:
        """A fault with what is ``given``, and defaults for the rest; ``toxicity`` 0..1.

        Raises:
            SimulatorError: an attribute is unknown or out of range, or they contradict.

        """
        self.name = name
        self.toxicity = toxicity
        self.seed = seed
        self.values = {one.name: one.default for one in self.attributes}
        known = {one.name: one for one in self.attributes}
        for attribute, value in given.items():
            if attribute not in known:
                names = ", ".join(known) or "none"
                msg = f"{self.type} has no attribute {attribute!r}; it has: {names}"
                raise SimulatorError(msg)
            low, high = known[attribute].minimum, known[attribute].maximum
            if not low <= value <= high:
                msg = f"{attribute} must be a whole number from {low} to {high}, not {value}"
                raise SimulatorError(msg)
            self.values[attribute] = value
        self.check()

    def check(self) -> None:  # noqa: B027 - most faults have nothing to add
        """Refuse attributes that contradict one another.

        Raises:
            SimulatorError: they do.

        """

    def cycle(self) -> Cycle:
        """When it is on; until healed, unless a fault says otherwise."""
        return Cycle()

    @abstractmethod
    def start(self, levers: Levers, turn: int) -> None:
        """Do the harm; ``turn`` counts the cycle's turns from 0.

        Raises:
            SimulatorError: the lever does not work.

        """

    @abstractmethod
    def stop(self, levers: Levers) -> None:
        """Undo what ``start`` did, as far as it can be undone.

        Raises:
            SimulatorError: the lever does not work.

        """

    def end(self, levers: Levers) -> None:
        """Undo it because its time is over, and not because it is healed before.

        By then the harm has been done, however busy the machine is.

        Raises:
            SimulatorError: the lever does not work.

        """
        self.stop(levers)


class LeverFault(Fault):
    """A fault whose harm a lever inside the CloudWatch stand-in does.

    The lever stands in the same file; see ``simulator.cloudwatch`` on what it can do.
    """

    lever: ClassVar[type[Lever]]

    def start(self, levers: Levers, turn: int) -> None:
        """Engage the lever, with a seed of this turn's own."""
        levers.cloudwatch.pull(self.name, self.type, self.values, self.toxicity, self.seed + turn)

    def stop(self, levers: Levers) -> None:
        """Release it."""
        levers.cloudwatch.release(self.name)
