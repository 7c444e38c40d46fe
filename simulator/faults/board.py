"""The switchboard: all faults, which of them are on, and when they are switched.

``step`` takes the time as an argument; a thread calls it when a fault is due.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from simulator.errors import ConflictError, NotFoundError, SimulatorError
from simulator.faults.base import DAY_MS, Cycle, Ending, Fault, FaultType, Harm
from simulator.faults.cloudwatch import CLOUDWATCH
from simulator.faults.cluster import CLUSTER
from simulator.faults.fault_log import FaultLog
from simulator.faults.live_path import LIVE_PATH
from simulator.faults.network import NETWORK
from simulator.faults.programs import PROGRAMS
from simulator.faults.workload import WORKLOAD

_FIRST: Final = frozenset({"disconnect", "visibility_delay", "duplicate_timestamps"})
"""One of each of the main families, listed first: these a newcomer tries."""

FAMILIES: Final[Mapping[str, tuple[FaultType, ...]]] = {
    "network": NETWORK,
    "cloudwatch": CLOUDWATCH,
    "live path": LIVE_PATH,
    "programs": PROGRAMS,
    "workload": WORKLOAD,
    "cluster": CLUSTER,
}
"""The faults of each family: what they break."""

FAULTS: Final[Mapping[str, FaultType]] = {
    one.type: one
    for one in sorted(
        (one for family in FAMILIES.values() for one in family),
        key=lambda one: one.type not in _FIRST,
    )
}
"""Every fault by its type, for the control API, ``gapless inject`` and the scenarios."""

SINGLE: Final = frozenset({"forwarder_crash", "journal_lost", "journal_rolled_back", "disk_full"})
"""Faults of a forwarder with a journal of its own; one that shares its journal refuses them."""

FAULTS_ON_MAX: Final = 100
HEAL_ALL: Final = "all"
"""Heals every fault, in place of a fault's name."""

NAME_CHARS_MAX: Final = 100

RETRY_MS: Final = 1_000
"""A harm that could not be applied or undone is tried again after this: until then it may last."""

_Ms = Annotated[int, Meta(ge=0, le=DAY_MS)]


class FaultSchedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a fault is on: ``after_ms`` from now, for ``for_ms`` (0 = until healed).

    With ``every_ms`` it is switched on again after that, each time for ``for_ms`` (0 = as long as
    the fault itself lasts), until it is healed.
    """

    after_ms: _Ms = 0
    for_ms: _Ms = 0
    every_ms: _Ms = 0


class FaultRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request of the control API to switch a fault on.

    ``name`` defaults to the type, ``toxicity`` to the type's own. A fault that is on under the
    same name is replaced.
    """

    type: str
    name: Annotated[str, Meta(max_length=NAME_CHARS_MAX, pattern=r"\A[\w.-]*\Z")] = ""
    toxicity: Annotated[float, Meta(ge=0, le=1)] | None = None
    attributes: dict[str, int] = {}
    schedule: FaultSchedule = FaultSchedule()


class _Switch:
    """A fault on the board, with its schedule and the harm that is in force."""

    def __init__(self, fault: Fault, schedule: FaultSchedule, now_ms: int) -> None:
        if fault.name == HEAL_ALL:
            msg = f"the name {HEAL_ALL!r} heals every fault: choose another name"
            raise SimulatorError(msg)
        self.fault = fault
        self.schedule = schedule
        self.starts_ms = now_ms + schedule.after_ms
        cycle = fault.cycle()
        if schedule.every_ms:
            on_ms = schedule.for_ms or cycle.on_ms
            if on_ms is None or on_ms >= schedule.every_ms:
                msg = (
                    f"every_ms is {schedule.every_ms}, and {fault.name} lasts "
                    f"{'until healed' if on_ms is None else f'{on_ms} ms'}: give a for_ms below it"
                )
                raise SimulatorError(msg)
            cycle = Cycle(on_ms, schedule.every_ms)
        self.cycle = cycle
        """When the harm is in force, by the fault itself or its repetition."""
        self.ends_after_ms = 0 if schedule.every_ms else schedule.for_ms
        self.affected = 0
        """How much the turns that are over have affected."""
        self.turn = -1
        self.harm: Harm | None = None
        """The harm that was begun last; None where the draw spared this turn."""
        self.is_on = False
        """Whether the harm may be in force."""
        self.since_ms: int | None = None
        """When this turn began, by the wall clock; None before the first."""
        self.is_given_up = False
        """Whether it is still here only because its harm could not be undone yet."""
        self.is_stuck = False

    def describe(self, affected: int = 0) -> dict[str, Any]:
        """The fault as the control API shows it; this turn has affected that much until now."""
        return {
            "name": self.fault.name,
            "type": self.fault.kind.type,
            "toxicity": self.fault.toxicity,
            "attributes": dict(self.fault.values),
            "schedule": msgspec.to_builtins(self.schedule),
            "on": self.is_on,
            "since_ms": self.since_ms if self.is_on else None,
            "turns": self.turn + 1,
            "affected": self.affected + affected,
        }


def monotonic_ms() -> int:
    """Read a clock that never jumps, in ms."""
    return time.monotonic_ns() // 1_000_000


class Board:
    """Every fault that is switched on or scheduled; used from any thread."""

    def __init__(
        self,
        begin: Callable[[str, Harm], None],
        end: Callable[[str, Harm, Ending], int],
        seed: int,
        clock_ms: Callable[[], int] = monotonic_ms,
        announce: Callable[[], None] = lambda: None,
        log: FaultLog | None = None,
        affected: Callable[[Mapping[str, Harm]], Mapping[str, int]] = lambda _: {},
    ) -> None:
        """Switch nothing before ``start``.

        Args:
            begin: Applies a harm under the name of its fault; raises SimulatorError.
            end: Undoes it, and returns how much it affected; raises SimulatorError.
            seed: The seed of each fault follows from this one and the fault's name.
            clock_ms: A clock that never jumps.
            announce: Called, from any thread, after a fault was switched.
            log: Keeps what is switched; None: one of the board's own.
            affected: Returns how much the harms in force have affected until now, by their names.
        """
        self.log = FaultLog() if log is None else log
        self._begin = begin
        self._end = end
        self._affected = affected
        self._seed = seed
        self._clock_ms = clock_ms
        self._announce = announce
        self._switches: dict[str, _Switch] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="faults", daemon=True)

    def start(self) -> None:
        """Start the thread that switches scheduled faults."""
        self._thread.start()

    def close(self) -> None:
        """Let the thread end; faults that are on stay on."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def switch_on(self, request: FaultRequest) -> dict[str, Any]:
        """Switch a fault on; it is on when this returns, unless it is scheduled for later.

        Raises:
            SimulatorError: no such type or attribute, out of range, or the harm failed.
        """
        kind = FAULTS.get(request.type)
        if kind is None:
            shown = request.type[:NAME_CHARS_MAX]
            msg = f"no fault is called {shown!r}; there are: {', '.join(FAULTS)}"
            raise SimulatorError(msg)
        name = request.name or request.type
        seed = self._seed << 32 | zlib.crc32(name.encode("utf-8", "surrogatepass"))
        given = request.toxicity
        toxicity = kind.toxicity if given is None else given
        fault = Fault(kind, name, request.attributes, toxicity, seed)
        _Switch(fault, request.schedule, 0)  # before the fault that it replaces is undone
        with self._changed:
            if name in self._switches:
                self._undo(self._switches[name], "healed")
            elif len(self._switches) >= FAULTS_ON_MAX:
                msg = f"{FAULTS_ON_MAX} faults are on, the most there may be; heal some"
                raise ConflictError(msg)
            now_ms = self._clock_ms()
            switch = self._switches[name] = _Switch(fault, request.schedule, now_ms)
            entry = self.log.add("requested", name, kind.type, msgspec.to_builtins(request))
            try:
                self._apply(switch, now_ms)
            except SimulatorError:
                # A harm that timed out may be in force all the same.
                with contextlib.suppress(SimulatorError):
                    self._give_up(switch)
                self.log.withdraw(entry)
                raise
            self._changed.notify_all()
            self._announce()
            return switch.describe()

    def switch_off(self, name: str) -> None:
        """Heal the fault of that name.

        Raises:
            NotFoundError: none of that name is on.
            SimulatorError: the harm could not be undone; it is tried again.
        """
        with self._changed:
            switch = self._find(name)
            self.log.add("healed", name, switch.fault.kind.type)
            try:
                self._give_up(switch)
            finally:
                self._announce()

    def heal(self) -> list[str]:
        """Heal every fault, and return their names.

        Raises:
            SimulatorError: one could not be healed and is tried again; the others were healed.
        """
        failures: list[SimulatorError] = []
        with self._changed:
            switches = dict(self._switches)
            for switch in switches.values():
                self.log.add("healed", switch.fault.name, switch.fault.kind.type)
                try:
                    self._give_up(switch)
                except SimulatorError as error:
                    failures.append(error)
        self._announce()
        if failures:
            raise failures[0]
        return list(switches)

    def describe(self, name: str) -> dict[str, Any]:
        """The fault of that name, as the control API shows it.

        Raises:
            NotFoundError: none of that name is on or scheduled.
        """
        with self._changed:
            switch = self._find(name)
        return self._describe([switch])[0]

    def describe_all(self) -> list[dict[str, Any]]:
        """Every fault that is on or scheduled; never waits for a fault that is being switched."""
        return self._describe(tuple(self._switches.values()))

    def _describe(self, switches: Sequence[_Switch]) -> list[dict[str, Any]]:
        harms = {one.fault.name: one.harm for one in switches if one.is_on and one.harm is not None}
        now = self._affected(harms) if harms else {}
        return [one.describe(now.get(one.fault.name, 0)) for one in switches]

    def step(self, now_ms: int) -> int | None:
        """Switch the faults that are due; ms until the next one is (None: none is scheduled)."""
        waits: list[int] = []
        with self._changed:
            before = [(switch, switch.is_on) for switch in self._switches.values()]
            for switch, _ in before:
                try:
                    wait = self._apply(switch, now_ms)
                except SimulatorError as error:
                    waits.append(RETRY_MS)
                    if not switch.is_stuck:
                        print(f"gapless: {switch.fault.name}: {error}", file=sys.stderr)  # noqa: T201
                    switch.is_stuck = True
                else:
                    waits += [] if wait is None else [wait]
            if before != [(switch, switch.is_on) for switch in self._switches.values()]:
                self._announce()
        return min(waits, default=None)

    def _find(self, name: str) -> _Switch:
        switch = self._switches.get(name)
        if switch is None:
            known = ", ".join(self._switches) or "none"
            msg = f"no fault called {name[:NAME_CHARS_MAX]!r} is on; on are: {known}"
            raise NotFoundError(msg)
        return switch

    def _apply(self, switch: _Switch, now_ms: int) -> int | None:
        """Bring a fault into the phase that is due, and return ms until the next one (None: none).

        Raises:
            SimulatorError: its harm failed; the next call applies it, or undoes it.
        """
        if switch.is_given_up:
            self._give_up(switch)
            return None
        elapsed_ms = now_ms - switch.starts_ms
        if elapsed_ms < 0:
            return -elapsed_ms
        if switch.turn < 0:
            # A fault that begins late still lasts its whole time.
            switch.starts_ms, elapsed_ms = now_ms, 0
        cycle, for_ms = switch.cycle, switch.ends_after_ms
        is_over = for_ms > 0 and elapsed_ms >= for_ms
        # A cycle with on_ms == 0 is over at once, but its harm is still done.
        turn = elapsed_ms // cycle.every_ms if cycle.every_ms else 0
        if turn > switch.turn and not is_over:
            self._undo(switch, "over")
            switch.turn = turn
            switch.harm = switch.fault.harm(turn)
            switch.is_on = switch.is_given_up = True
            begun_ms, logged_ms = self._clock_ms(), self.log.now_ms()
            switch.since_ms = logged_ms
            if switch.harm is not None:
                self._begin(switch.fault.name, switch.harm)
                # A viewer may notice before the lever has returned, but not before the fault.
                kind = switch.fault.kind.type
                self.log.add("began", switch.fault.name, kind, at_ms=logged_ms)
            # On a busy machine that may take longer than the harm is to last.
            switch.starts_ms += self._clock_ms() - begun_ms
            switch.is_given_up = False
        phase = None if is_over else cycle.phase(elapsed_ms)
        if phase is None:
            self._undo(switch, "healed" if is_over else "over")
            self._switches.pop(switch.fault.name, None)
            return None
        if not phase.is_on:
            self._undo(switch, "over")
        if not for_ms:
            return phase.change_in_ms
        left_ms = for_ms - elapsed_ms
        return left_ms if phase.change_in_ms is None else min(left_ms, phase.change_in_ms)

    def _undo(self, switch: _Switch, ending: Ending) -> None:
        """Undo a fault's harm, if it is in force."""
        if switch.is_on:
            if switch.harm is not None:
                affected = self._end(switch.fault.name, switch.harm, ending)
                switch.affected += affected
                name, kind = switch.fault.name, switch.fault.kind.type
                self.log.add("ended", name, kind, affected=affected)
            switch.is_on = False

    def _give_up(self, switch: _Switch) -> None:
        """Undo a fault and forget it; if that fails, ``step`` tries again until it succeeds."""
        switch.is_given_up = True
        try:
            self._undo(switch, "healed")
        except SimulatorError:
            self._changed.notify_all()
            raise
        if self._switches.get(switch.fault.name) is switch:
            del self._switches[switch.fault.name]

    def _run(self) -> None:
        with self._changed:
            while not self._stopping:
                wait_ms = self.step(self._clock_ms())
                self._changed.wait(None if wait_ms is None else wait_ms / 1_000)


def check_request(request: FaultRequest) -> None:
    """Check that a fault of a known type can be switched on as requested.

    Raises:
        SimulatorError: an attribute is out of range, or attributes or schedule contradict.
    """
    kind = FAULTS[request.type]
    fault = Fault(kind, request.name or kind.type, request.attributes, 1.0, 0)
    _Switch(fault, request.schedule, 0)


def lasts_ms(request: FaultRequest) -> int | None:
    """Return how long a valid fault lasts by itself, its delay included; None: until healed."""
    kind, schedule = FAULTS[request.type], request.schedule
    cycle = Fault(kind, request.name, request.attributes, 1.0, 0).cycle()
    on_ms = schedule.for_ms or cycle.on_ms
    if schedule.every_ms or on_ms is None or (cycle.every_ms and not schedule.for_ms):
        return None
    return schedule.after_ms + on_ms


def needs(kind: str, forwarders: int, *, is_live: bool) -> str:
    """Return what a fault needs that a setup lacks, with a remedy; empty where it can happen.

    Args:
        kind: Its type.
        forwarders: How many there are.
        is_live: Whether events also arrive through a subscription.
    """
    family = family_of(kind)
    if family == "cluster" and forwarders == 1:
        return "needs several forwarders: add forwarders = 3 to [setup]"
    if kind in SINGLE and forwarders > 1:
        return "needs a single forwarder: leave forwarders out of [setup], or inject owner_crash"
    if family == "live path" and not is_live:
        return 'needs a subscription: write source = "live" in [setup]'
    return ""


def family_of(kind: str) -> str:
    """Return the name of a fault's family; empty for an unknown fault."""
    return next(
        (name for name, faults in FAMILIES.items() if kind in [one.type for one in faults]), ""
    )


def catalogue(*, is_cluster: bool = False) -> list[Mapping[str, Any]]:
    """Every fault that can be switched on, as the control API shows it; a cluster's own first."""
    known = sorted(FAULTS.values(), key=lambda one: is_cluster and one not in CLUSTER)
    return [one.describe() for one in known]
