"""What faults pull inside the CloudWatch stand-in; the package's docstring explains the seam.

The levers that are engaged, and the HTTP requests that switch them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from simulator.errors import SimulatorError

if TYPE_CHECKING:
    from simulator.cloudwatch.logs import Logs


PAGE_EVENTS_MAX: Final = 10_000

READS: Final = frozenset({"FilterLogEvents", "GetLogEvents"})
"""The calls that return events."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked of a lever; attributes are whole numbers, as a fault has them."""

    name: str
    type: str
    attributes: dict[str, int] = {}
    toxicity: float = 1.0
    seed: int = 0


class Call:
    """One AWS call on its way in.

    Attributes:
        service: ``logs``, ``kinesis``, ...
        action: as AWS calls it, ``FilterLogEvents`` for one.
        region: of the request's signature.
        body: as it came.
        now_ms: when it came.
        events_max: the most events that a read may return; lower it for a short page, which has
            a ``nextToken`` if there is more. 0 = an empty page, always with a ``nextToken``.

    """

    def __init__(self, service: str, action: str, region: str, body: bytes, now_ms: int) -> None:
        """A call that nobody has touched yet."""
        self.service = service
        self.action = action
        self.region = region
        self.body = body
        self.now_ms = now_ms
        self.events_max = PAGE_EVENTS_MAX
        self._parameters: dict[str, Any] | None = None

    @property
    def is_read(self) -> bool:
        """Whether it returns log events."""
        return self.service == "logs" and self.action in READS

    @property
    def parameters(self) -> dict[str, Any]:
        """The body, decoded; changes count, for the calls that this project answers itself.

        Raises:
            ValueError: it is no JSON object.

        """
        if self._parameters is None:
            try:
                found = msgspec.json.decode(self.body)
            except msgspec.DecodeError:
                found = json.loads(self.body)  # lone surrogates, which only this one takes
            if not isinstance(found, dict):
                msg = "the request is no JSON object"
                raise ValueError(msg)
            self._parameters = found
        return self._parameters


class Answer(msgspec.Struct):
    """What goes back to the caller.

    ``content_length`` says another length than the body has: the connection is closed after the
    body, so that the caller sees it cut. ``is_dropped``: no answer, the connection is reset.
    """

    status: int
    body: bytes
    content_type: str = "application/x-amz-json-1.1"
    content_length: int | None = None
    is_dropped: bool = False


def refusal(code: str, message: str, status: int = 400) -> Answer:
    """An error as the AWS JSON protocol writes it; ``code`` is what boto3 shows."""
    return Answer(status, json.dumps({"__type": code, "message": message}).encode())


class StoredEvent(NamedTuple):
    """A log event that CloudWatch accepted; times in ms, ``id`` as FilterLogEvents says it."""

    id: str
    stream: str
    timestamp: int
    message: str
    ingested_ms: int


class Batch(NamedTuple):
    """One record of a subscription filter, to be sent at ``due_ms``.

    ``events`` are (id, timestamp, message), oldest first as they were written. The one of a
    ``CONTROL_MESSAGE`` is CloudWatch's own.
    """

    due_ms: int
    group: str
    stream: str
    filter_name: str
    destination: str
    is_random: bool
    events: tuple[tuple[str, int, str], ...]
    message_type: str = "DATA_MESSAGE"


Next = Callable[[Call], Answer]


class Lever:
    """A lever that does nothing; see the package's docstring for what to override.

    Everything but ``engage`` and ``release`` may be called from several threads at once.
    """

    def __init__(self, order: Order) -> None:
        """As ordered; the attributes have been checked by the fault that orders."""
        self.name = order.name
        self.type = order.type
        self.attributes: Mapping[str, int] = order.attributes
        self.toxicity = order.toxicity
        self.seed = order.seed
        self._rng = Random(order.seed)  # noqa: S311 - a simulation
        self._drawing = threading.Lock()

    def hits(self) -> bool:
        """Whether this one is hit: draws by ``toxicity``, from the seed."""
        return self.draw() < self.toxicity

    def draw(self) -> float:
        """The seed's next number in [0, 1)."""
        with self._drawing:
            return self._rng.random()

    def engage(self, logs: Logs, now_ms: int) -> None:
        """Called once, with the storage locked, before anything else.

        Raises:
            SimulatorError: it can't; it is not engaged then.

        """

    def release(self, logs: Logs, now_ms: int) -> None:
        """Called once, with the storage locked; nothing is asked of it afterwards."""

    def call(self, call: Call, then: Next) -> Answer:
        """Answer a call; ``then`` asks the next lever, and the last one CloudWatch."""
        return then(call)

    def hides(self, event: StoredEvent, now_ms: int) -> bool:
        """Whether a read at ``now_ms`` must not show this event."""
        del event, now_ms
        return False

    def deliver(self, batches: list[Batch]) -> list[Batch]:
        """What is sent in place of these batches; each is sent at its ``due_ms``."""
        return batches


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
