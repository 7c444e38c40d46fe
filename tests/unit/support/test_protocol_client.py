"""The judge is judged: the hand-written client must notice whatever a forwarder does wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from websockets.asyncio.client import ClientConnection

from tests.support.processes.protocol_client import (
    BrokenRuleError,
    Connection,
    ProtocolClient,
)

Message = dict[str, Any]


class Script:
    """A socket that brings the given messages and keeps what is sent."""

    def __init__(self, messages: list[Message]) -> None:
        self.frames = [json.dumps(message) for message in messages]
        self.sent: list[str] = []

    async def recv(self) -> str:
        return self.frames.pop(0)

    async def send(self, frame: str) -> None:
        self.sent.append(frame)


def item(seq: int, timestamp: int, message: str = "m", stream: str = "a/x") -> list[Any]:
    return [seq, str(1000 + seq), timestamp, None, stream, message, "live"]


def total(*items: list[Any]) -> Message:
    digests = [
        hashlib.blake2b(f"{one[1]}\n{one[2]}\n{one[4]}\n{one[5]}".encode(), digest_size=8).digest()
        for one in items
    ]
    value = sum(int.from_bytes(one, "big") for one in digests) % (1 << 64)
    return {"count": len(items), "digest": f"{value:016x}"}


PAST, LIVE = [item(1, 100), item(2, 110)], [item(4, 120), item(5, 105)]


def transcript() -> list[Message]:
    """Everything right: two of the past, two live with one skipped, all proved."""
    messages: list[Message] = [
        {
            "type": "welcome",
            "protocol": 1,
            "epoch": "E",
            "outcome": "fresh",
            "after": 2,
            "head_seq": 2,
            "since": 100,
            "heartbeat_ms": 2000,
            "lost": [],
        },
        {"type": "events", "after": 2, "seq": 2, "items": [PAST[1]]},
        {"type": "backfill", "held": "110:1002..", "total": 2, "done": False},
        {"type": "events", "after": 2, "seq": 4, "items": [LIVE[0]]},
        {"type": "weather", "is": "fine"},
        {"type": "events", "after": 4, "seq": 4, "items": [PAST[0]]},
        {"type": "backfill", "held": "..", "total": 2, "done": True},
        {"type": "events", "after": 4, "seq": 5, "items": [LIVE[1]]},
        {
            "type": "mark",
            "from": 100,
            "through": 120,
            "scanned_at": 9,
            "seq": 5,
            **total(*PAST, *LIVE),
        },
        {
            "type": "heartbeat",
            "head_seq": 5,
            "sent_seq": 5,
            "upstream": {"state": "ok", "lag_ms": 0},
        },
        {
            "type": "end",
            "execution": "x",
            "status": "UNKNOWN",
            "from": 100,
            "through": 120,
            "seq": 5,
            **total(*PAST, *LIVE),
        },
        {"type": "bye", "reason": "over", "retry_after_ms": 0},
    ]
    for n, message in enumerate(messages, 1):
        message["n"] = n
    return messages


async def play(messages: list[Message], **settings: Any) -> ProtocolClient:  # noqa: ANN401
    client = ProtocolClient("ws://127.0.0.1:1/", since=100, **settings)
    script = Script(messages)
    connection = Connection(client, cast("ClientConnection", script), resuming=False)
    client.connections.append(connection)
    while script.frames:
        await connection.step()
    return client


async def test_what_keeps_to_the_page_is_green() -> None:
    client = await play(transcript())
    assert client.complete_through == 120
    assert client.cursor == 5
    assert [one.seq for _, one in sorted(client.events.items())] == [1, 5, 2, 4]


def change(at: int, **fields: Any) -> Callable[[list[Message]], None]:  # noqa: ANN401
    return lambda messages: messages[at].update(fields)


def leave_out(at: int) -> Callable[[list[Message]], None]:
    return lambda messages: messages.__delitem__(at)


FAULTS: dict[str, Callable[[list[Message]], None]] = {
    "a frame dropped": leave_out(3),
    "a frame doubled": lambda messages: messages.insert(3, messages[3]),
    "no welcome": leave_out(0),
    "a second welcome": change(4, type="welcome", n=5),
    "another outcome": change(0, outcome="resumed"),
    "a hole in the cursor": change(7, after=3),
    "a cursor that goes back": change(7, after=4, seq=3),
    "a seq outside the frame": change(3, seq=3),
    "too many events": change(3, items=[item(3, 100)] * 501),
    "too large": change(3, items=[item(3, 100, "x" * 600_000), item(4, 100, "x" * 600_000)]),
    "an event doubled live": change(7, items=[[5, "1004", 120, None, "a/x", "m", "live"]]),
    "an event of the past doubled": change(5, items=[PAST[1]]),
    "a held that shrinks": change(6, held="115:1..", done=False),
    "done, but not whole": change(6, held="110:0.."),
    "done, but not open": change(6, held="..200:1"),
    "past from before since": change(5, items=[item(1, 99)]),
    "past that is not past": change(5, items=[item(9, 101)]),
    "a stream that was not asked for": change(3, items=[item(3, 100, stream="b/y")]),
    "a count": change(8, count=3),
    "a digest": change(8, digest="0" * 16),
    "a mark of another point": change(8, seq=4),
    "a mark from before since": change(8, **{"from": 99}),
    "a sent_seq": change(9, sent_seq=4),
    "a state": change(9, upstream={"state": "asleep", "lag_ms": 0}),
    "a state without a code": change(9, upstream={"state": "throttled", "lag_ms": 0}),
    "an end that differs": change(10, count=1),
    "a digest that nobody asked for": change(4, type="digest", **{"from": 1}),
    "something after bye": lambda messages: messages.append({"type": "weather", "n": 13}),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_every_fault_is_noticed(fault: str) -> None:
    messages = transcript()
    FAULTS[fault](messages)
    with pytest.raises(BrokenRuleError):
        await play(messages, streams=["a/x"])


async def test_a_mark_before_the_past_is_done_must_lie_within_held() -> None:
    messages = transcript()
    mark = messages.pop(8)
    messages.insert(4, {**mark, "seq": 4, "from": 100, **total(PAST[1], LIVE[0])})
    for n, message in enumerate(messages, 1):
        message["n"] = n
    with pytest.raises(BrokenRuleError, match="outside held"):
        await play(messages)


async def test_more_than_was_granted_is_noticed() -> None:
    await play(transcript(), credit=4)
    with pytest.raises(BrokenRuleError, match="granted"):
        await play(transcript(), credit=3)
