"""A stand-in for levers that records harms instead of applying them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from simulator.acceptance import NewEvent
from simulator.errors import NoTargetError, SimulatorError
from simulator.faults.base import (
    CloseWebSockets,
    CrashForwarder,
    CutCable,
    Ending,
    EngageLever,
    Fault,
    FillDisk,
    GatherCrowd,
    Harm,
    KillViewers,
    SetClock,
    StrainCable,
    WriteEvents,
)


class HarmRecorder:
    """Records harms; ``calls`` lists each begin and end in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.counts: dict[str, int] = {}
        """How much a harm affects, by its owner."""
        self.composed: list[Callable[[int, Sequence[str]], Iterable[NewEvent]]] = []
        self.broken = False
        self.has_no_viewers = False

    def _note(self, *call: str) -> None:
        self.calls.append(call)
        if self.broken:
            msg = "the lever broke"
            raise SimulatorError(msg)

    def turn(self, fault: Fault, turn: int = 0, ending: Ending = "healed") -> None:
        """Begin and end the harm of one turn."""
        harm = fault.harm(turn)
        if harm is not None:
            self.begin(fault.name, harm)
            self.end(fault.name, harm, ending)

    def begin(self, owner: str, harm: Harm) -> None:  # noqa: C901 - a case for each harm
        match harm:
            case CutCable():
                self.pull(owner)
            case StrainCable(strain, share):
                self._note("strain", owner, repr(strain), f"{share:g}")
            case CloseWebSockets(code, share):
                self._note("close", str(code), f"{share:g}")
            case GatherCrowd(clients):
                self._note("gather", owner, str(clients))
            case EngageLever(order):
                given = " ".join(f"{name}={value}" for name, value in order.attributes.items())
                drawn = (f"{order.toxicity:g}", str(order.seed))
                self._note("engage", order.name, order.type, given, *drawn)
            case WriteEvents(calls):
                self.composed += calls
                self._note("submit")
            case CrashForwarder(after_ms, journal):
                self._note("crash", owner, str(after_ms), journal)
            case FillDisk(room_bytes):
                self._note("fill", owner, str(room_bytes))
            case KillViewers(share):
                self._note("kill", f"{share:g}")
                if self.has_no_viewers:
                    msg = "no viewer is registered"
                    raise NoTargetError(msg)
            case SetClock(offset_ms):
                self._note("clock", owner, str(offset_ms))
            case _:
                self._note(type(harm).__name__, owner)

    def end(self, owner: str, harm: Harm, ending: Ending) -> int:
        match harm:
            case CutCable():
                self.plug(owner)
            case StrainCable():
                self._note("ease", owner)
            case GatherCrowd():
                self._note("disperse", owner)
            case EngageLever():
                self._note("release", owner)
            case CrashForwarder():
                self._note("restart", owner, *(["called off"] if ending == "healed" else []))
            case FillDisk():
                self._note("free", owner)
            case SetClock():
                self._note("clock", owner, "right")
        return self.counts.get(owner, 0)

    def affected(self, harms: Mapping[str, Harm]) -> dict[str, int]:
        """How much the harms in force have affected."""
        return {owner: self.counts.get(owner, 0) for owner in harms}

    def pull(self, owner: str) -> None:
        """Cut the cable; tests replace it to make it slow."""
        self._note("pull", owner)

    def plug(self, owner: str) -> None:
        """Restore the cable; tests replace it to make it slow."""
        self._note("plug", owner)
