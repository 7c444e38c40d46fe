"""Applies the harms of faults to the objects that they harm, and undoes them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from concurrent.futures import CancelledError
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from common.errors import GaplessError
from common.http import HttpStatusError, request
from simulator.cloudwatch import LEVERS_PATH, Mode, wall_clock_ms
from simulator.errors import SimulatorError
from simulator.faults.base import (
    CloseWebSockets,
    ClusterHarm,
    CrashEngine,
    CrashForwarder,
    CrashOwner,
    CrashServer,
    CutCable,
    Ending,
    EngageLever,
    FailOver,
    FillDisk,
    GatherCrowd,
    Harm,
    KillViewers,
    PauseEngine,
    PauseOwner,
    SetClock,
    SetEngineBack,
    StrainCable,
    WriteEvents,
)
from simulator.network.cable import Cable
from simulator.network.crowd import Crowds
from simulator.oracle.ledger import Ledger
from simulator.programs.clock import SkewedClock
from simulator.programs.cluster import Cluster
from simulator.programs.forwarder import ForwarderProcess
from simulator.programs.viewers import Viewers
from simulator.workload.writer import Writer

_T = TypeVar("_T")

COUNTING_S: Final = 1.0
"""Longest wait for the counts of the stand-in: a panel shows them, and they come again."""

TIMEOUT_S: Final = 20.0
"""Longest that applying a harm may take; it takes milliseconds, except on a very busy machine."""


class StandIn(NamedTuple):
    """The process that stands in for CloudWatch: its URL, and whether moto is patched there."""

    url: str
    mode: Mode


class Targets(NamedTuple):
    """The objects that faults harm.

    Attributes:
        cable: Runs in the event loop, as ``crowds`` and ``forwarder`` do.
        crowds: Clients that connect through the cable.
        stand_in: Called over HTTP.
        forwarder: The forwarder process.
        viewers: The registered viewer processes.
        clock: The forwarder's; None where it can't be set.
        writer: Writes events to CloudWatch.
        cluster: The forwarders that share a journal; None where there is one forwarder.
        ledger: Notes which events CloudWatch can no longer show, and when the clock was wrong.
    """

    cable: Cable
    crowds: Crowds
    stand_in: StandIn
    forwarder: ForwarderProcess
    viewers: Viewers
    clock: SkewedClock | None
    writer: Writer
    cluster: Cluster | None
    ledger: Ledger


class Levers:
    """Applies and undoes harms; used from any thread but that of the event loop."""

    def __init__(self, targets: Targets, loop: asyncio.AbstractEventLoop) -> None:
        self._targets = targets
        self._loop = loop
        self._done: dict[str, int] = {}
        """How much the harms affected that count it themselves, as they begin."""

    def begin(self, owner: str, harm: Harm) -> None:  # noqa: C901 - a case for each harm
        """Apply a harm under the name of its owner; it is in force when this returns.

        Raises:
            NoTargetError: no viewer is registered to be killed.
            SimulatorError: it can't be applied here, or not in time.
        """
        targets = self._targets
        # As often as it is done, where nothing else can be counted.
        self._done[owner] = 1
        match harm:
            case CutCable(share, seed):
                self._await("the cable", self._targets.cable.pull(owner, share, seed))
            case StrainCable(strain, share, seed):
                self._await("the cable", self._targets.cable.strain(owner, strain, share, seed))
            case CloseWebSockets(code, share, seed):
                closing = targets.cable.close_with(code, share, seed)
                self._done[owner] = self._await("the cable", closing)
            case GatherCrowd(clients):
                self._await("the crowd", self._targets.crowds.gather(owner, clients))
            case EngageLever():
                self._engage(harm)
            case WriteEvents(calls):
                for compose in calls:
                    targets.writer.submit(compose)
                self._done[owner] = len(calls)
            case CrashForwarder() | FillDisk():
                self._await("the forwarder", self._harm_forwarder(owner, harm))
            case KillViewers(share, seed):
                self._done[owner] = targets.viewers.kill(share, seed)
            case SetClock(offset_ms):
                if self._targets.clock is None:
                    msg = "the forwarder's clock can't be set here: start with 'gapless simulate'"
                    raise SimulatorError(msg)
                self._set_clock(self._targets.clock, owner, offset_ms)
            case _:
                self._await("the cluster", self._harm_cluster(owner, harm))

    def affected(self, harms: Mapping[str, Harm]) -> dict[str, int]:
        """How much the harms in force have affected until now, by their owners.

        Those of the stand-in are left out where it does not answer at once.
        """
        found: dict[str, int] = {}
        if any(isinstance(harm, EngageLever) for harm in harms.values()):
            with contextlib.suppress(GaplessError):
                found = self._lever_counts()
        for owner, harm in harms.items():
            if not isinstance(harm, EngageLever):
                found[owner] = self._own_count(owner, harm)
        return {owner: found[owner] for owner in harms if owner in found}

    def _own_count(self, owner: str, harm: Harm) -> int:
        match harm:
            case CutCable() | StrainCable():
                return self._targets.cable.affected(owner)
            case GatherCrowd():
                return self._targets.crowds.affected(owner)
            case _:
                return self._done.get(owner, 0)

    def end(self, owner: str, harm: Harm, ending: Ending) -> int:
        """Undo the owner's harm, as far as it can be undone, and return how much it affected.

        It is undone when this returns.

        A kill of the forwarder that is still to come is called off where the harm is healed, and
        done at once where its time is over: that time may pass faster on a busy machine.

        Raises:
            SimulatorError: it can't be undone, or not in time.
        """
        done = self._done.get(owner, 0)
        match harm:
            case CutCable():
                self._await("the cable", self._targets.cable.plug(owner))
                done = self._targets.cable.take_affected(owner)
            case StrainCable():
                self._await("the cable", self._targets.cable.ease(owner))
                done = self._targets.cable.take_affected(owner)
            case GatherCrowd():
                self._await("the crowd", self._targets.crowds.disperse(owner))
                done = self._targets.crowds.take_affected(owner)
            case EngageLever():
                done = self._release(owner)
            case CrashForwarder() | FillDisk():
                self._await("the forwarder", self._heal_forwarder(owner, harm, ending))
            case SetClock():
                if self._targets.clock is not None:
                    self._set_clock(self._targets.clock, owner, 0)
            case CloseWebSockets() | WriteEvents() | KillViewers():
                pass
            case _:
                self._await("the cluster", self._heal_cluster(owner, harm, ending))
        self._done.pop(owner, None)
        return done

    async def _harm_forwarder(self, owner: str, harm: CrashForwarder | FillDisk) -> None:
        forwarder = self._targets.forwarder
        if self._targets.cluster is not None:
            msg = "this fault needs a single forwarder: use owner_crash or server_crash here"
            raise SimulatorError(msg)
        match harm:
            case CrashForwarder(after_ms, journal):
                await forwarder.crash(owner, after_ms, journal)
            case FillDisk(room_bytes):
                await forwarder.fill_disk(owner, room_bytes)

    async def _heal_forwarder(
        self, owner: str, harm: CrashForwarder | FillDisk, ending: Ending
    ) -> None:
        forwarder = self._targets.forwarder
        match harm:
            case _ if self._targets.cluster is not None:
                pass
            case CrashForwarder():
                await forwarder.restart(owner, is_called_off=ending == "healed")
            case FillDisk():
                await forwarder.free_disk(owner)

    async def _harm_cluster(self, owner: str, harm: ClusterHarm) -> None:
        cluster = self._targets.cluster
        if cluster is None:
            msg = "this simulator has one forwarder: start it with --forwarders 3"
            raise SimulatorError(msg)
        match harm:
            case CrashOwner(after_ms):
                await cluster.crash_owner(owner, after_ms)
            case PauseOwner():
                await cluster.pause_owner(owner)
            case CrashServer(after_ms):
                port = self._targets.cable.busiest_target
                await cluster.crash_server(owner, port, after_ms)
            case CrashEngine():
                await cluster.crash_engine(owner)
            case FailOver():
                await cluster.fail_over(owner)
            case PauseEngine():
                await cluster.pause_engine(owner)
            case SetEngineBack():
                await cluster.save_engine(owner)

    async def _heal_cluster(self, owner: str, harm: ClusterHarm, ending: Ending) -> None:
        cluster = self._targets.cluster
        match harm:
            case _ if cluster is None:
                pass
            case CrashOwner() | CrashServer():
                await cluster.restart(owner, is_called_off=ending == "healed")
            case PauseOwner():
                await cluster.go_on(owner)
            case CrashEngine():
                await cluster.restart_engine(owner)
            case FailOver():
                await cluster.replace_standby(owner)
            case PauseEngine():
                await cluster.continue_engine(owner)
            case SetEngineBack():
                await cluster.set_engine_back(owner, is_called_off=ending == "healed")

    def _await(self, what: str, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine in the event loop, wait until it is done, and return its result.

        Raises:
            SimulatorError: it failed, or not in time.
        """
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:  # the loop is closed
            work.close()
            msg = f"{what} can't be switched any more: the simulation is over"
            raise SimulatorError(msg) from error
        try:
            return future.result(TIMEOUT_S)
        except (TimeoutError, OSError, CancelledError) as error:
            future.cancel()
            msg = f"{what} could not be switched: {str(error) or 'it took too long'}"
            raise SimulatorError(msg) from error

    def _engage(self, harm: EngageLever) -> None:
        if self._targets.stand_in.mode == "moto":
            msg = "unpatched moto can't be broken; start with --cloudwatch faithful"
            raise SimulatorError(msg)
        engaged_ms: int = self._ask_stand_in("POST", msgspec.to_builtins(harm.order))["now_ms"]
        harm.note(self._targets.ledger, harm.order, engaged_ms, wall_clock_ms())

    def _release(self, owner: str) -> int:
        """Release a lever; return how much it affected."""
        if self._targets.stand_in.mode == "moto":  # there no lever was ever engaged
            return 0
        answer = self._ask_stand_in("DELETE", {"name": owner})
        self._targets.ledger.note_healing(owner, answer["now_ms"], wall_clock_ms())
        affected: int = answer["affected"]
        return affected

    def _lever_counts(self) -> dict[str, int]:
        """How much each lever that is engaged has affected."""
        answer = request(self._targets.stand_in.url + LEVERS_PATH, timeout_s=COUNTING_S)
        return {one["name"]: one["affected"] for one in answer}

    def _ask_stand_in(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Engage or release a lever in the stand-in; its answer says when, in ms by its clock."""
        url = self._targets.stand_in.url + LEVERS_PATH
        try:
            answer: dict[str, Any] = request(url, method=method, body=body, timeout_s=TIMEOUT_S)
        except HttpStatusError as error:
            msg = f"the CloudWatch stand-in refused: {error.detail}"
            raise SimulatorError(msg) from error
        except GaplessError as error:
            msg = f"the CloudWatch stand-in did not answer: {error}"
            raise SimulatorError(msg) from error
        return answer

    def _set_clock(self, clock: SkewedClock, owner: str, offset_ms: int) -> None:
        after_ms = wall_clock_ms()
        clock.set(owner, offset_ms)
        # The forwarder may have read the new clock at any moment in between.
        before_ms = wall_clock_ms() + 1
        self._targets.ledger.note_clock(clock.offset_ms, after_ms=after_ms, before_ms=before_ms)
