"""Levers that only remember how they were pulled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from simulator.acceptance import NewEvent
from simulator.errors import NobodyError, SimulatorError
from simulator.faults.base import Levers
from simulator.network.toxics import Strain


class Remembered:
    """All the levers; ``calls`` is what was done with them, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.composed: list[Callable[[int, Sequence[str]], Iterable[NewEvent]]] = []
        self.broken = False
        self.nobody = False

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

    def strain(self, owner: str, strain: Strain, share: float, seed: int) -> None:
        del seed
        self._note("strain", owner, repr(strain), f"{share:g}")

    def ease(self, owner: str) -> None:
        self._note("ease", owner)

    def close_with(self, code: int, share: float, seed: int) -> None:
        del seed
        self._note("close", str(code), f"{share:g}")

    def gather(self, owner: str, clients: int) -> None:
        self._note("gather", owner, str(clients))

    def disperse(self, owner: str) -> None:
        self._note("disperse", owner)

    def submit(self, compose: Callable[[int, Sequence[str]], Iterable[NewEvent]]) -> None:
        self.composed.append(compose)
        self._note("submit")

    def crash(self, owner: str, after_ms: int, journal: str) -> None:
        self._note("crash", owner, str(after_ms), journal)

    def restart(self, owner: str, *, is_called_off: bool) -> None:
        self._note("restart", owner, *(["called off"] if is_called_off else []))

    def fill_disk(self, owner: str, room_bytes: int) -> None:
        self._note("fill", owner, str(room_bytes))

    def free_disk(self, owner: str) -> None:
        self._note("free", owner)

    def kill_viewers(self, share: float, seed: int) -> None:
        del seed
        self._note("kill", f"{share:g}")
        if self.nobody:
            msg = "no viewer was handed over"
            raise NobodyError(msg)

    def set_clock(self, owner: str, offset_ms: int) -> None:
        self._note("clock", owner, str(offset_ms))

    def right_clock(self, owner: str) -> None:
        self._note("clock", owner, "right")

    def levers(self) -> Levers:
        """As a fault gets them."""
        return Levers(self, _CloudWatch(self._note), self, self)


class _CloudWatch:
    """CloudWatch's levers, which have the cable's names."""

    def __init__(self, note: Callable[..., None]) -> None:
        self._note = note

    def pull(
        self, owner: str, kind: str, attributes: Mapping[str, int], share: float, seed: int
    ) -> None:
        given = " ".join(f"{name}={value}" for name, value in attributes.items())
        self._note("engage", owner, kind, given, f"{share:g}", str(seed))

    def release(self, owner: str) -> None:
        self._note("release", owner)
