"""Levers: how a fault acts inside the CloudWatch stand-in.

A lever is a subclass of ``Lever`` that overrides some of its methods; the row of its fault
(``simulator.faults``) names it. The simulator writes with ``PutLogEvents`` and does not retry:
let that call pass unless the fault is about it.

Levers are switched over HTTP on the stand-in's own port, at ``/simulator/levers``: ``GET`` lists
the engaged ones in order, ``POST`` engages one by a ``LeverOrder`` and replaces its namesake,
``DELETE`` releases the one of a ``{"name"}``. The answer ``{"now_ms": N}`` says when, by this
process's clock; ``affected``, in the list and in the answer to ``DELETE``, is how much a lever has
affected. Calls pass the levers in the order in which these were engaged.
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


class LeverOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request to engage a lever under a name, for a type of fault and with its attributes."""

    name: str
    type: str
    attributes: dict[str, int] = {}
    toxicity: float = 1.0
    seed: int = 0


class Call:
    """An AWS call that the stand-in has received and not answered yet.

    Attributes:
        service: ``logs`` or ``kinesis``.
        action: AWS's name of the call, such as ``FilterLogEvents``.
        region: Region of the request's signature.
        body: The request's body, JSON.
        now_ms: When the call arrived.
        events_max: Most events that a read may return; lower it for a short page, which has a
            ``nextToken`` if there are more. 0 = an empty page, always with a ``nextToken``.
    """

    def __init__(self, service: str, action: str, region: str, body: bytes, now_ms: int) -> None:
        self.service = service
        self.action = action
        self.region = region
        self.body = body
        self.now_ms = now_ms
        self.events_max = PAGE_EVENTS_MAX
        self._parameters: dict[str, Any] | None = None

    @property
    def is_read(self) -> bool:
        """Whether the call reads log events."""
        return self.service == "logs" and self.action in READS

    @property
    def parameters(self) -> dict[str, Any]:
        """The decoded JSON body; calls that the stand-in answers without moto see changes to it.

        Raises:
            ValueError: the body is no JSON object.
        """
        if self._parameters is None:
            try:
                found = msgspec.json.decode(self.body)
            except msgspec.DecodeError:
                found = json.loads(self.body)  # takes lone surrogates too
            if not isinstance(found, dict):
                msg = "the request is no JSON object"
                raise ValueError(msg)
            self._parameters = found
        return self._parameters


class Answer(msgspec.Struct):
    """The answer to an AWS call, as it is sent over HTTP.

    Attributes:
        status: HTTP status.
        body: JSON.
        content_type: Of the body.
        content_length: The Content-Length header, where it differs from the body's length: the
            connection is closed after the body, so that the caller sees it cut.
        is_dropped: Whether the connection is reset instead of answered.
        held_ms: How long levers have kept it back.
    """

    status: int
    body: bytes
    content_type: str = "application/x-amz-json-1.1"
    content_length: int | None = None
    is_dropped: bool = False
    held_ms: float = 0.0


def refusal(code: str, message: str, status: int = 400) -> Answer:
    """An error as the AWS JSON protocol writes it; ``code`` is what boto3 shows."""
    return Answer(status, json.dumps({"__type": code, "message": message}).encode())


class StoredEvent(NamedTuple):
    """A log event that CloudWatch accepted; times in ms, ``id`` as FilterLogEvents returns it."""

    id: str
    stream: str
    timestamp: int
    message: str
    ingested_ms: int


class Batch(NamedTuple):
    """One record of a subscription filter, to be sent at ``due_ms``.

    ``events`` are (id, timestamp, message), in the order of writing. A ``CONTROL_MESSAGE`` is
    CloudWatch's own probe of the destination.
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
"""Passes a call on to the next lever, and behind the last one to CloudWatch."""


class Lever:
    """A lever without effect, to be subclassed.

    Methods other than ``engage`` and ``release`` may be called from several threads at once.

    The rack counts what a lever affects: calls that it answers otherwise or late, events that it
    hides, batches that it changes. A lever that acts in another way counts that itself.
    """

    counts = "turns"
    """What ``affected`` counts, as a plural."""

    def __init__(self, order: LeverOrder) -> None:
        """Take an order whose attributes the fault has checked."""
        self.order = order
        self.name = order.name
        self.attributes: Mapping[str, int] = order.attributes
        self.toxicity = order.toxicity
        self.seed = order.seed
        self._rng = Random(order.seed)  # noqa: S311 - a simulation
        self._drawing = threading.Lock()
        self._counting = threading.Lock()
        self._affected = 0
        self._hidden: set[str] = set()

    @property
    def affected(self) -> int:
        """How much it has affected so far."""
        return self._affected + len(self._hidden)

    def affect(self, count: int = 1) -> None:
        """Count what it has affected."""
        with self._counting:
            self._affected += count

    def affect_event(self, name: str) -> None:
        """Count an event that it hides, once however often it is read."""
        self._hidden.add(name)

    def draw_hit(self) -> bool:
        """Draw whether the next call, event or batch is hit, by ``toxicity``."""
        return self.draw() < self.toxicity

    def draw(self) -> float:
        """Draw the next random number in [0, 1) that follows from the seed."""
        with self._drawing:
            return self._rng.random()

    def engage(self, logs: Logs, now_ms: int) -> None:
        """Act on the stored logs, once and before any other method; the storage is locked.

        Raises:
            SimulatorError: it can't be engaged.
        """

    def release(self, logs: Logs, now_ms: int) -> None:
        """Act on the stored logs, once and after any other method; the storage is locked."""

    def call(self, call: Call, then: Next) -> Answer:
        """Answer an AWS call; by default the next lever, or CloudWatch, does.

        It may change the call before ``then(call)``, change or replace the answer, wait (no lock
        is held), or answer without ``then``.
        """
        return then(call)

    def hides(self, event: StoredEvent, now_ms: int) -> bool:
        """Whether a read at ``now_ms`` must omit an event that it would return otherwise."""
        del event, now_ms
        return False

    def returned(self, events: list[StoredEvent]) -> list[StoredEvent]:
        """The events that a read returns in place of these, which are one page."""
        return events

    def deliver(self, batches: list[Batch]) -> list[Batch]:
        """The batches that a subscription filter sends in place of these."""
        return batches


LEVERS_MAX: Final = 100
ORDER_BYTES_MAX: Final = 65_536


class _Release(msgspec.Struct):
    name: str


class Rack:
    """The engaged levers, in order; switched by one thread at a time, used from any."""

    def __init__(
        self, logs: Logs, types: Mapping[str, type[Lever]], now_ms: Callable[[], int]
    ) -> None:
        """``types`` holds the lever of each type of fault."""
        self._logs = logs
        self._types = types
        self._now_ms = now_ms
        # Replaced as a whole, so that readers need no lock.
        self._engaged: tuple[Lever, ...] = ()
        self._hiding: tuple[Lever, ...] = ()
        self._changing: tuple[Lever, ...] = ()

    def engage(self, order: LeverOrder) -> int:
        """Engage a lever in place of the one of its name, and return the moment in ms.

        Raises:
            SimulatorError: the type has no lever, too many are engaged, or it can't be engaged.
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
                msg = f"{LEVERS_MAX} levers are engaged, the most there may be: release some"
                raise SimulatorError(msg)
            lever.engage(self._logs, now_ms)
            self._set_engaged((*self._engaged, lever))
        return now_ms

    def release(self, name: str) -> tuple[int, int]:
        """Release the lever of that name, if any; return the moment in ms, and what it affected."""
        with self._logs.lock:
            now_ms = self._now_ms()
            released = self._remove(name, now_ms)
        return now_ms, 0 if released is None else released.affected

    def orders(self) -> list[LeverOrder]:
        """The orders of the engaged levers."""
        return [lever.order for lever in self._engaged]

    def describe(self) -> list[dict[str, Any]]:
        """The orders of the engaged levers, and how much each has affected."""
        return [
            {**msgspec.to_builtins(lever.order), "affected": lever.affected}
            for lever in self._engaged
        ]

    def call(self, call: Call, last: Next) -> Answer:
        """Answer a call through every lever; ``last`` asks CloudWatch itself."""
        then = last
        for lever in reversed(self._engaged):
            if type(lever).call is not Lever.call:
                then = partial(_call_through, lever, then)
        return then(call)

    @property
    def may_hide(self) -> bool:
        """Whether any lever may hide events from reads."""
        return bool(self._hiding)

    def hides(self, event: StoredEvent, now_ms: int) -> bool:
        """Whether any lever hides the event from a read at ``now_ms``."""
        hiding = [lever for lever in self._hiding if lever.hides(event, now_ms)]
        for lever in hiding:
            lever.affect_event(event.id)
        return bool(hiding)

    @property
    def may_change(self) -> bool:
        """Whether any lever may change the events that reads return."""
        return bool(self._changing)

    def returned(self, events: list[StoredEvent]) -> list[StoredEvent]:
        """The events that a read returns in place of these."""
        for lever in self._changing:
            before, events = events, lever.returned(events)
            lever.affect(events != before)
        return events

    def deliver(self, batches: list[Batch]) -> list[Batch]:
        """The batches that subscription filters send in place of these."""
        for lever in self._engaged:
            before, batches = batches, lever.deliver(batches)
            known, kept = set(map(id, before)), set(map(id, batches))
            # One that is late stands for a batch that is left out; one sent twice for none.
            lever.affect(max(len(known - kept), len(kept - known)))
        return batches

    def respond(self, method: str, body: bytes) -> Answer:
        """Answer a request to ``/simulator/levers``."""
        try:
            if method == "GET":
                return _json(200, self.describe())
            if method == "POST":
                return _json(
                    200, {"now_ms": self.engage(msgspec.json.decode(body, type=LeverOrder))}
                )
            if method == "DELETE":
                now_ms, affected = self.release(msgspec.json.decode(body, type=_Release).name)
                return _json(200, {"now_ms": now_ms, "affected": affected})
        except (msgspec.DecodeError, UnicodeDecodeError, SimulatorError) as error:
            return _json(400, {"error": str(error)})
        return _json(405, {"error": "GET, POST or DELETE"})

    def _remove(self, name: str, now_ms: int) -> Lever | None:
        lever = next((one for one in self._engaged if one.name == name), None)
        if lever is not None:
            self._set_engaged(tuple(one for one in self._engaged if one is not lever))
            lever.release(self._logs, now_ms)
        return lever

    def _set_engaged(self, levers: tuple[Lever, ...]) -> None:
        self._engaged = levers
        self._hiding = tuple(one for one in levers if type(one).hides is not Lever.hides)
        self._changing = tuple(one for one in levers if type(one).returned is not Lever.returned)


def _call_through(lever: Lever, then: Next, call: Call) -> Answer:
    """Pass a call through a lever, and count it if the lever made a difference."""
    passed: list[Answer] = []
    events_max = call.events_max

    def note(call: Call) -> Answer:
        answer = then(call)
        # A copy: levers change the answer itself.
        passed.append(msgspec.structs.replace(answer))
        return answer

    answer = lever.call(call, note)
    lever.affect(passed != [answer] or call.events_max != events_max)
    return answer


def _json(status: int, answer: object) -> Answer:
    return Answer(status, json.dumps(answer).encode() + b"\n", "application/json")
