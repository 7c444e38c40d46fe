"""tests.unit.simulator.cloudwatch.test_levers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulator.cloudwatch import levers as module
from simulator.cloudwatch.levers import (
    Answer,
    Batch,
    Call,
    Lever,
    LeverOrder,
    Next,
    Rack,
    StoredEvent,
    refusal,
)
from simulator.cloudwatch.logs import Logs
from simulator.errors import SimulatorError

EVENT = StoredEvent("1", "stream", 7, "hello", 8)
BATCH = Batch(5, "/g", "stream", "filter", "arn", is_random=False, events=(("1", 7, "hello"),))


class Noted(Lever):
    """Notes each time it is switched, and adds its name to what passes."""

    notes: list[tuple[str, str, int]] = []  # noqa: RUF012 - emptied by the fixture

    def engage(self, logs: Logs, now_ms: int) -> None:
        assert isinstance(logs, Logs)
        if self.attributes.get("broken"):
            msg = "it is broken"
            raise SimulatorError(msg)
        self.notes.append(("engage", self.name, now_ms))

    def release(self, logs: Logs, now_ms: int) -> None:
        assert isinstance(logs, Logs)
        self.notes.append(("release", self.name, now_ms))

    def call(self, call: Call, then: Next) -> Answer:
        answer = then(call)
        answer.body += self.name.encode()
        return answer

    def deliver(self, batches: list[Batch]) -> list[Batch]:
        return [*batches, *(one._replace(stream=one.stream + self.name) for one in batches)]


class Hiding(Lever):
    def hides(self, event: StoredEvent, now_ms: int) -> bool:
        return event.message == "hello" and now_ms == 3


@pytest.fixture
def rack() -> Rack:
    Noted.notes.clear()
    return Rack(Logs(lambda: 99), {"noted": Noted, "hiding": Hiding}, lambda: 99)


def asked(rack: Rack) -> Answer:
    call = Call("logs", "FilterLogEvents", "us-east-1", b"{}", 1)
    return rack.call(call, lambda _: Answer(200, b"moto"))


def ask(rack: Rack, method: str, body: object = None) -> tuple[int, Any]:
    answer = rack.respond(method, json.dumps(body).encode())
    return answer.status, json.loads(answer.body)


def test_without_levers_everything_passes(rack: Rack) -> None:
    assert asked(rack).body == b"moto"
    assert not rack.may_hide
    assert not rack.hides(EVENT, 3)
    assert rack.deliver([BATCH]) == [BATCH]


def test_levers_stand_around_calls_the_first_outermost(rack: Rack) -> None:
    for name in ("a", "b"):
        rack.engage(LeverOrder(name, "noted"))
    assert asked(rack).body == b"motoba"
    assert len(rack.deliver([BATCH])) == 4


def test_a_lever_may_hide_events(rack: Rack) -> None:
    rack.engage(LeverOrder("n", "noted"))
    seen = [rack.may_hide]
    rack.engage(LeverOrder("h", "hiding"))
    seen.append(rack.may_hide)
    assert rack.hides(EVENT, 3)
    assert not rack.hides(EVENT, 4)
    rack.release("h")
    assert [*seen, rack.may_hide] == [False, True, False]


def test_over_http_levers_are_engaged_replaced_told_and_released(rack: Rack) -> None:
    order = {"name": "a", "type": "noted", "attributes": {"x": 1}, "toxicity": 0.5, "seed": 3}
    assert ask(rack, "POST", order) == (200, {"now_ms": 99})
    assert ask(rack, "POST", order) == (200, {"now_ms": 99})
    asked(rack)
    assert ask(rack, "GET") == (200, [order | {"affected": 1}])
    assert ask(rack, "DELETE", {"name": "other"}) == (200, {"now_ms": 99, "affected": 0})
    assert ask(rack, "DELETE", {"name": "a"}) == (200, {"now_ms": 99, "affected": 1})
    assert ask(rack, "GET") == (200, [])
    assert [note[0] for note in Noted.notes] == ["engage", "release", "engage", "release"]


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("POST", {}),
        ("POST", {"name": "a", "type": "none"}),
        ("POST", {"name": "a", "type": "noted", "attributes": {"broken": 1}}),
        ("POST", {"name": "a", "type": "noted", "attributes": {"x": "1"}}),
        ("POST", {"name": "a", "type": "noted", "more": 1}),
        ("DELETE", {}),
        ("DELETE", []),
    ],
)
def test_a_wrong_order_is_refused(rack: Rack, method: str, body: object) -> None:
    status, answer = ask(rack, method, body)
    assert status == 400
    assert answer["error"]
    assert rack.orders() == []


def test_other_methods_are_refused(rack: Rack) -> None:
    assert ask(rack, "PUT") == (405, {"error": "GET, POST or DELETE"})


def test_levers_are_bounded(rack: Rack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEVERS_MAX", 1)
    rack.engage(LeverOrder("a", "noted"))
    with pytest.raises(SimulatorError, match="the most there may be"):
        rack.engage(LeverOrder("b", "noted"))
    rack.engage(LeverOrder("a", "noted"))


def test_a_lever_draws_from_its_seed() -> None:
    def drawn(seed: int) -> list[bool]:
        lever = Lever(LeverOrder("a", "x", toxicity=0.5, seed=seed))
        return [lever.draw_hit() for _ in range(64)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert 16 < sum(drawn(1)) < 48


def test_a_call_reads_its_body_once_also_with_lone_surrogates() -> None:
    call = Call("logs", "PutLogEvents", "r", b'{"logEvents": [{"message": "\\ud83d"}]}', 1)
    assert call.parameters["logEvents"][0]["message"] == "\ud83d"
    call.parameters["limit"] = 1
    assert call.parameters["limit"] == 1
    assert not call.is_read
    assert Call("logs", "GetLogEvents", "r", b"", 1).is_read
    for wrong in (b"[]", b"{", b"\xff"):
        with pytest.raises(ValueError, match=r"."):
            _ = Call("logs", "GetLogEvents", "r", wrong, 1).parameters


def test_a_refusal_is_what_boto3_reads() -> None:
    answer = refusal("ThrottlingException", "Rate exceeded")
    assert (answer.status, json.loads(answer.body)) == (
        400,
        {"__type": "ThrottlingException", "message": "Rate exceeded"},
    )
