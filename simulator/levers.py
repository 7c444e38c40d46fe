"""The levers that faults pull, made to work from any thread."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Coroutine, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from simulator.cloudwatch import LEVERS_PATH, Mode
from simulator.cloudwatch.levers import Order
from simulator.crowds import Crowds
from simulator.errors import SimulatorError
from simulator.faults.visibility_delay import VisibilityDelay, VisibilityLever
from simulator.proxy import Cable
from simulator.toxics import Strain
from simulator.visibility import Visibility

LEVER_TIMEOUT_S: Final = 5.0
"""How long a fault may take to be switched."""


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
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:  # the loop is closed
            work.close()
            msg = "the cable can't be switched any more: the simulation is over"
            raise SimulatorError(msg) from error
        try:
            future.result(LEVER_TIMEOUT_S)
        except (TimeoutError, OSError) as error:
            future.cancel()
            msg = f"the cable could not be switched: {error}"
            raise SimulatorError(msg) from error


class CloudWatchLink:
    """The stand-in's own levers, over HTTP, and a copy of what they were set to."""

    def __init__(self, url: str, mode: Mode, visibility: Visibility) -> None:
        """``visibility`` is the copy."""
        self._address = urlsplit(url).netloc
        self._mode = mode
        self._visibility = visibility

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

    def release(self, owner: str) -> None:
        """Release the owner's lever.

        Raises:
            SimulatorError: it did not answer.

        """
        self._visibility.heal(owner, self._ask("DELETE", {"name": owner})["now_ms"])

    def _ask(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._address, timeout=LEVER_TIMEOUT_S)
        try:
            connection.request(method, LEVERS_PATH, json.dumps(body))
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            msg = f"the CloudWatch stand-in did not answer: {error}"
            raise SimulatorError(msg) from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            msg = f"the CloudWatch stand-in refused: {answer.get('error')}"
            raise SimulatorError(msg)
        return answer
