"""The switchboard: which faults are on, and who switches them when.

All of it can be tried without waiting: ``step`` takes the time. A thread calls it when something
is due.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from simulator.errors import NotFoundError, SimulatorError
from simulator.faults import FAULTS
from simulator.faults.base import DAY_MS, Fault, Levers

FAULTS_ON_MAX: Final = 100
NAME_CHARS_MAX: Final = 100

RETRY_MS: Final = 1_000
"""A lever that did not work is tried again after so long: what is not undone is not healed."""

_Ms = Annotated[int, Meta(ge=0, le=DAY_MS)]


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a fault is on: ``after_ms`` from now, for ``for_ms`` (0 = until healed)."""

    after_ms: _Ms = 0
    for_ms: _Ms = 0


class FaultRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fault that is to be switched on, as the control API takes it.

    ``name`` defaults to the type, ``toxicity`` to the fault's own. One that is on under the same
    name is replaced.
    """

    type: str
    name: Annotated[str, Meta(max_length=NAME_CHARS_MAX, pattern=r"\A[\w.-]*\Z")] = ""
    toxicity: Annotated[float, Meta(ge=0, le=1)] | None = None
    attributes: dict[str, int] = {}
    schedule: Schedule = Schedule()


class _Switch:
    """A fault on the board."""

    def __init__(self, fault: Fault, schedule: Schedule, now_ms: int) -> None:
        self.fault = fault
        self.schedule = schedule
        self.starts_ms = now_ms + schedule.after_ms
        self.turn = -1
        self.is_on = False
        """Whether it does harm, as far as is known."""
        self.is_given_up = False
        """Whether it is only still there since it could not be undone."""
        self.is_stuck = False

    def told(self) -> dict[str, Any]:
        return {
            "name": self.fault.name,
            "type": self.fault.type,
            "toxicity": self.fault.toxicity,
            "attributes": dict(self.fault.values),
            "schedule": msgspec.to_builtins(self.schedule),
            "on": self.is_on,
            "turns": self.turn + 1,
        }


def monotonic_ms() -> int:
    """Milliseconds of a clock that nobody sets."""
    return time.monotonic_ns() // 1_000_000


class Board:
    """Every fault that is switched on or scheduled; used from any thread."""

    def __init__(
        self,
        levers: Levers,
        seed: int,
        clock_ms: Callable[[], int] = monotonic_ms,
        announce: Callable[[], None] = lambda: None,
    ) -> None:
        """Each fault's own seed follows from ``seed`` and its name.

        ``announce`` is called, from any thread, after a fault was switched.
        """
        self._levers = levers
        self._seed = seed
        self._clock_ms = clock_ms
        self._announce = announce
        self._switches: dict[str, _Switch] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="faults", daemon=True)

    def start(self) -> None:
        """Switch what is scheduled, from now on."""
        self._thread.start()

    def close(self) -> None:
        """Switch nothing any more."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def switch_on(self, request: FaultRequest) -> dict[str, Any]:
        """Switch a fault on; it is on when this returns, unless it is scheduled for later.

        Raises:
            SimulatorError: no such type or attribute, out of range, or the lever failed.

        """
        fault_type = FAULTS.get(request.type)
        if fault_type is None:
            msg = f"no fault is called {request.type!r}; there are: {', '.join(FAULTS)}"
            raise SimulatorError(msg)
        name = request.name or request.type
        seed = self._seed << 32 | zlib.crc32(name.encode("utf-8", "surrogatepass"))
        given = request.toxicity
        toxicity = fault_type.toxicity_default if given is None else given
        fault = fault_type(name, request.attributes, toxicity, seed)
        with self._changed:
            if name in self._switches:
                self._off(self._switches[name])
            elif len(self._switches) >= FAULTS_ON_MAX:
                msg = f"{FAULTS_ON_MAX} faults are on, the most there may be; heal some"
                raise SimulatorError(msg)
            now_ms = self._clock_ms()
            switch = self._switches[name] = _Switch(fault, request.schedule, now_ms)
            try:
                self._apply(switch, now_ms)
            except SimulatorError:
                # A lever that did not answer in time may have worked all the same.
                with contextlib.suppress(SimulatorError):
                    self._give_up(switch)
                raise
            self._changed.notify_all()
            self._announce()
            return switch.told()

    def switch_off(self, name: str) -> None:
        """Heal the fault of that name.

        Raises:
            NotFoundError: none of that name is on.
            SimulatorError: the lever failed; it is tried again.

        """
        with self._changed:
            switch = self._found(name)
            try:
                self._give_up(switch)
            finally:
                self._announce()

    def heal(self) -> list[str]:
        """Heal every fault; their names.

        Raises:
            SimulatorError: a lever failed and is tried again; the others were healed.

        """
        failures: list[SimulatorError] = []
        with self._changed:
            switches = dict(self._switches)
            for switch in switches.values():
                try:
                    self._give_up(switch)
                except SimulatorError as error:
                    failures.append(error)
        self._announce()
        if failures:
            raise failures[0]
        return list(switches)

    def told(self, name: str) -> dict[str, Any]:
        """The fault of that name, as the control API shows it.

        Raises:
            NotFoundError: none of that name is on or scheduled.

        """
        with self._changed:
            return self._found(name).told()

    def all_told(self) -> list[dict[str, Any]]:
        """Every fault that is on or scheduled; at once, also while a lever is waited for."""
        return [switch.told() for switch in tuple(self._switches.values())]

    def step(self, now_ms: int) -> int | None:
        """Switch what is due; ms until more is (None: nothing is scheduled)."""
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

    def _found(self, name: str) -> _Switch:
        switch = self._switches.get(name)
        if switch is None:
            msg = f"no fault called {name!r} is on; on are: {', '.join(self._switches) or 'none'}"
            raise NotFoundError(msg)
        return switch

    def _apply(self, switch: _Switch, now_ms: int) -> int | None:
        """Bring a fault into the phase that it should be in; ms until the next one.

        Raises:
            SimulatorError: the lever failed; once more does it, or undoes it.

        """
        if switch.is_given_up:
            self._give_up(switch)
            return None
        elapsed_ms = now_ms - switch.starts_ms
        if elapsed_ms < 0:
            return -elapsed_ms
        if switch.turn < 0:
            # Begun late, it lasts as long all the same.
            switch.starts_ms, elapsed_ms = now_ms, 0
        cycle, for_ms = switch.fault.cycle(), switch.schedule.for_ms
        is_over = for_ms > 0 and elapsed_ms >= for_ms
        # An instant is over at once, and happens all the same.
        turn = elapsed_ms // cycle.every_ms if cycle.every_ms else 0
        if turn > switch.turn and not is_over:
            self._off(switch, is_over=True)
            switch.turn = turn
            switch.is_on = switch.is_given_up = True
            begun_ms = self._clock_ms()
            switch.fault.start(self._levers, turn)
            # On a busy machine that may take longer than the harm is to last.
            switch.starts_ms += self._clock_ms() - begun_ms
            switch.is_given_up = False
        phase = None if is_over else cycle.phase(elapsed_ms)
        if phase is None:
            self._off(switch, is_over=not is_over)
            self._switches.pop(switch.fault.name, None)
            return None
        if not phase.is_on:
            self._off(switch, is_over=True)
        if not for_ms:
            return phase.change_in_ms
        left_ms = for_ms - elapsed_ms
        return left_ms if phase.change_in_ms is None else min(left_ms, phase.change_in_ms)

    def _off(self, switch: _Switch, *, is_over: bool = False) -> None:
        """Undo a fault; ``is_over`` if its own time has come, and it was not cut short."""
        if switch.is_on:
            (switch.fault.end if is_over else switch.fault.stop)(self._levers)
            switch.is_on = False

    def _give_up(self, switch: _Switch) -> None:
        """Undo a fault and forget it; if that fails, it is tried again until it does not."""
        switch.is_given_up = True
        try:
            self._off(switch)
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


def catalogue() -> list[Mapping[str, Any]]:
    """Every fault that there is, for a person to choose from."""
    return [
        {
            "type": one.type,
            "meaning": (one.__doc__ or "").partition("\n")[0],
            "toxicity": one.toxicity_default,
            "attributes": [attribute._asdict() for attribute in one.attributes],
        }
        for one in FAULTS.values()
    ]
