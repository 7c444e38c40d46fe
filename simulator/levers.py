"""The levers that faults pull, made to work from any thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError
from typing import Any, Final

import msgspec

from common.errors import GaplessError
from common.http import HttpStatusError, request
from simulator.acceptance import Visibility
from simulator.cloudwatch import LEVERS_PATH, Mode, wall_clock_ms
from simulator.cloudwatch.levers import Order
from simulator.errors import SimulatorError
from simulator.faults.base import DAY_MS, Journal
from simulator.faults.cloudwatch import (
    GroupRecreated,
    RetentionExpire,
    VisibilityDelay,
    VisibilityLever,
)
from simulator.faults.network import Flap
from simulator.network.cable import Cable
from simulator.network.crowd import Crowds
from simulator.network.toxics import Strain
from simulator.oracle.ledger import Ledger
from simulator.programs import Forwarder, SkewedClock, Viewers

LEVER_TIMEOUT_S: Final = 20.0
"""How long a fault may take to be switched; milliseconds, but for a machine that is very busy."""


def _wait_for(work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop, what: str) -> None:
    """Have something done in the event loop, and wait until it is.

    Raises:
        SimulatorError: it can't be done, or not in time.

    """
    try:
        future = asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError as error:  # the loop is closed
        work.close()
        msg = f"{what} can't be switched any more: the simulation is over"
        raise SimulatorError(msg) from error
    try:
        future.result(LEVER_TIMEOUT_S)
    except (TimeoutError, OSError, CancelledError) as error:
        future.cancel()
        msg = f"{what} could not be switched: {str(error) or 'it took too long'}"
        raise SimulatorError(msg) from error


class CableLink:
    """The cable, for threads other than the event loop's."""

    def __init__(self, cable: Cable, crowds: Crowds, loop: asyncio.AbstractEventLoop) -> None:
        """``loop`` is the one that the cable and the crowds of viewers live in."""
        self._cable = cable
        self._crowds = crowds
        self._loop = loop

    def pull(self, owner: str, share: float, seed: int) -> None:
        """See ``Cable.pull``; it is out when this returns."""
        self._wait_for(self._cable.pull(owner, share, seed))

    def plug(self, owner: str) -> None:
        """See ``Cable.plug``; it is in when this returns."""
        self._wait_for(self._cable.plug(owner))

    def strain(self, owner: str, strain: Strain, share: float, seed: int) -> None:
        """See ``Cable.strain``; it holds when this returns."""
        self._wait_for(self._cable.strain(owner, strain, share, seed))

    def ease(self, owner: str) -> None:
        """See ``Cable.ease``; it is gone when this returns."""
        self._wait_for(self._cable.ease(owner))

    def close_with(self, code: int, share: float, seed: int) -> None:
        """See ``Cable.close_with``."""
        self._wait_for(self._cable.close_with(code, share, seed))

    def gather(self, owner: str, clients: int) -> None:
        """See ``Crowds.gather``; they are on their way when this returns."""
        self._wait_for(self._crowds.gather(owner, clients))

    def disperse(self, owner: str) -> None:
        """See ``Crowds.disperse``; they are gone when this returns."""
        self._wait_for(self._crowds.disperse(owner))

    def _wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        _wait_for(work, self._loop, "the cable")


class ProgramsLink:
    """Forwarder and viewers, for threads other than the event loop's."""

    def __init__(
        self,
        forwarder: Forwarder,
        viewers: Viewers,
        clock: SkewedClock | None,
        loop: asyncio.AbstractEventLoop,
        ledger: Ledger | None = None,
    ) -> None:
        """See the class.

        Args:
            forwarder: the one.
            viewers: those that were handed over.
            clock: what the forwarder reads beside its own clock, if anything.
            loop: the forwarder's.
            ledger: is told of what that clock is.

        """
        self._ledger = ledger
        self._forwarder = forwarder
        self._viewers = viewers
        self._clock = clock
        self._loop = loop

    def crash(self, owner: str, after_ms: int, journal: Journal) -> None:
        """See ``Forwarder.crash``."""
        self._wait_for(self._forwarder.crash(owner, after_ms, journal))

    def restart(self, owner: str, *, is_called_off: bool) -> None:
        """See ``Forwarder.restart``; it is on its way when this returns."""
        self._wait_for(self._forwarder.restart(owner, is_called_off=is_called_off))

    def fill_disk(self, owner: str, room_bytes: int) -> None:
        """See ``Forwarder.fill_disk``."""
        self._wait_for(self._forwarder.fill_disk(owner, room_bytes))

    def free_disk(self, owner: str) -> None:
        """See ``Forwarder.free_disk``."""
        self._wait_for(self._forwarder.free_disk(owner))

    def kill_viewers(self, share: float, seed: int) -> None:
        """See ``Viewers.kill``."""
        self._viewers.kill(share, seed)

    def set_clock(self, owner: str, offset_ms: int) -> None:
        """See ``SkewedClock.set``.

        Raises:
            SimulatorError: nobody reads that clock.

        """
        if self._clock is None:
            msg = "the forwarder's clock can't be set here: start with 'gapless simulate'"
            raise SimulatorError(msg)
        with self._noted(self._clock):
            self._clock.set(owner, offset_ms)

    def right_clock(self, owner: str) -> None:
        """See ``SkewedClock.right``."""
        if self._clock is not None:
            with self._noted(self._clock):
                self._clock.right(owner)

    @contextlib.contextmanager
    def _noted(self, clock: SkewedClock) -> Iterator[None]:
        """The clock is set meanwhile: the forwarder may look at it at any moment of that."""
        after_ms = wall_clock_ms()
        yield
        if self._ledger is not None:
            before_ms = wall_clock_ms() + 1
            self._ledger.clock_was_set(clock.offset_ms, after_ms=after_ms, before_ms=before_ms)

    def _wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        _wait_for(work, self._loop, "the forwarder")


class CloudWatchLink:
    """The stand-in's own levers, over HTTP, and a copy of what they were set to."""

    def __init__(
        self, url: str, mode: Mode, visibility: Visibility, ledger: Ledger | None = None
    ) -> None:
        """``visibility`` is the copy; the ``ledger`` is told of what CloudWatch takes away."""
        self._url = url.rstrip("/")
        self._mode = mode
        self._visibility = visibility
        self._ledger = ledger

    def pull(
        self, owner: str, kind: str, attributes: Mapping[str, int], share: float, seed: int
    ) -> None:
        """Engage the lever of the fault type ``kind``; it is engaged when this returns.

        Raises:
            SimulatorError: it is unpatched moto, or did not answer.

        """
        if self._mode == "moto":
            msg = "unpatched moto can't be broken; start with --cloudwatch faithful"
            raise SimulatorError(msg)
        order = Order(owner, kind, dict(attributes), share, seed)
        now_ms = self._ask("POST", msgspec.to_builtins(order))["now_ms"]
        if kind == VisibilityDelay.type:
            self._visibility.impose(VisibilityLever(order).regime(now_ms))
        elif self._ledger is not None and kind == Flap.type:
            self._ledger.flap(owner, now_ms)
        elif self._ledger is not None and kind == GroupRecreated.type:
            # Whatever was sent by now may have come in before, and be gone.
            self._ledger.vanish(wall_clock_ms())
        elif self._ledger is not None and kind == RetentionExpire.type:
            self._ledger.expire(wall_clock_ms(), attributes["days"] * DAY_MS)

    def release(self, owner: str) -> None:
        """Release the owner's lever.

        Raises:
            SimulatorError: it did not answer.

        """
        if self._mode == "moto":
            return  # nothing was ever engaged
        self._visibility.heal(owner, self._ask("DELETE", {"name": owner})["now_ms"])
        if self._ledger is not None:
            self._ledger.settle(owner, wall_clock_ms())

    def _ask(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        url = f"{self._url}{LEVERS_PATH}"
        try:
            answer = request(url, method=method, body=dict(body), timeout_s=LEVER_TIMEOUT_S)
        except HttpStatusError as error:
            msg = f"the CloudWatch stand-in refused: {error.detail}"
            raise SimulatorError(msg) from error
        except GaplessError as error:
            msg = f"the CloudWatch stand-in did not answer: {error}"
            raise SimulatorError(msg) from error
        if not isinstance(answer, dict):
            msg = "the CloudWatch stand-in did not answer with an object"
            raise SimulatorError(msg)
        return answer
