"""What faults pull inside the CloudWatch stand-in; the package's docstring explains the seam."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

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
