"""The levers that are engaged, and the HTTP requests that switch them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from simulator.cloudwatch.levers import Answer, Batch, Call, Lever, Next, Order, StoredEvent
from simulator.errors import SimulatorError

if TYPE_CHECKING:
    from simulator.cloudwatch.logs import Logs

LEVERS_MAX: Final = 100
ORDER_BYTES_MAX: Final = 65_536


class _Release(msgspec.Struct):
    name: str


class Rack:
    """Engaged levers in their order; switched by one thread at a time, used from any."""

    def __init__(
        self, logs: Logs, types: Mapping[str, type[Lever]], now_ms: Callable[[], int]
    ) -> None:
        """``types`` are the levers that there are, by the type of their fault."""
        self._logs = logs
        self._types = types
        self._now_ms = now_ms
        # Replaced as a whole, so that whoever reads needs no lock.
        self._engaged: tuple[Lever, ...] = ()
        self._hiding: tuple[Lever, ...] = ()

    def engage(self, order: Order) -> int:
        """Engage a lever in place of the one of its name; the moment in ms.

        Raises:
            SimulatorError: there is no such lever, there are too many, or it can't be engaged.

        """
        lever_type = self._types.get(order.type)
        if lever_type is None:
            msg = f"no lever is called {order.type!r}; there are: {', '.join(self._types)}"
            raise SimulatorError(msg)
        lever = lever_type(order)
        with self._logs.lock:
            now_ms = self._now_ms()
            self._remove(order.name, now_ms)
            if len(self._engaged) >= LEVERS_MAX:
                msg = f"{LEVERS_MAX} levers are engaged, the most there may be"
                raise SimulatorError(msg)
            lever.engage(self._logs, now_ms)
            self._put((*self._engaged, lever))
        return now_ms

    def release(self, name: str) -> int:
        """Release the lever of that name, if there is one; the moment in ms."""
        with self._logs.lock:
            now_ms = self._now_ms()
            self._remove(name, now_ms)
        return now_ms

    def told(self) -> list[dict[str, Any]]:
        """The levers that are engaged."""
        return [
            {
                "name": one.name,
                "type": one.type,
                "attributes": dict(one.attributes),
                "toxicity": one.toxicity,
                "seed": one.seed,
            }
            for one in self._engaged
        ]

    def call(self, call: Call, last: Next) -> Answer:
        """Answer a call through every lever; ``last`` is CloudWatch itself."""
        then = last
        for lever in reversed(self._engaged):
            then = partial(lever.call, then=then)
        return then(call)

    @property
    def may_hide(self) -> bool:
        """Whether any lever may hide events from reads."""
        return bool(self._hiding)

    def hides(self, event: StoredEvent, now_ms: int) -> bool:
        """Whether any lever hides the event from a read at ``now_ms``."""
        return any(lever.hides(event, now_ms) for lever in self._hiding)

    def deliver(self, batches: list[Batch]) -> list[Batch]:
        """What is sent of these batches."""
        for lever in self._engaged:
            batches = lever.deliver(batches)
        return batches

    def respond(self, method: str, body: bytes) -> Answer:
        """Answer a request to ``/simulator/levers``."""
        try:
            if method == "GET":
                return _json(200, self.told())
            if method == "POST":
                return _json(200, {"now_ms": self.engage(msgspec.json.decode(body, type=Order))})
            if method == "DELETE":
                return _json(
                    200, {"now_ms": self.release(msgspec.json.decode(body, type=_Release).name)}
                )
        except (msgspec.DecodeError, UnicodeDecodeError, SimulatorError) as error:
            return _json(400, {"error": str(error)})
        return _json(405, {"error": "GET, POST or DELETE"})

    def _remove(self, name: str, now_ms: int) -> None:
        for lever in self._engaged:
            if lever.name == name:
                self._put(tuple(one for one in self._engaged if one is not lever))
                lever.release(self._logs, now_ms)

    def _put(self, levers: tuple[Lever, ...]) -> None:
        self._engaged = levers
        self._hiding = tuple(one for one in levers if type(one).hides is not Lever.hides)


def _json(status: int, answer: object) -> Answer:
    return Answer(status, json.dumps(answer).encode() + b"\n", "application/json")
