"""A client written from PROTOCOL.md alone, which checks everything the forwarder sends.

It imports nothing of the product, so that an error in ``wire/`` cannot hide itself.
``BrokenRuleError`` names the rule that the forwarder broke.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlencode

import websockets.exceptions
from websockets.asyncio.client import ClientConnection, connect

ACCEPTED_BYTES: Final = 8 * 1024 * 1024
WAIT_S: Final = 240.0
"""Timeout of every wait; tests assert nothing about durations."""

Position = tuple[int, int]
"""(timestamp, id as a number): K of PROTOCOL.md."""

Held = tuple[Position | None, Position | None]


class BrokenRuleError(AssertionError):
    """The forwarder broke a rule of PROTOCOL.md."""


def demand(holds: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise ``BrokenRuleError`` unless ``holds``."""
    if not holds:
        raise BrokenRuleError(what)


@dataclass
class Event:
    """One event that the client received."""

    seq: int
    id: str
    timestamp: int
    stream: str
    message: str
    origin: str
    confirmed: bool = True

    @property
    def position(self) -> Position:
        """Position in display order."""
        return (self.timestamp, int(self.id))

    def digest(self) -> int:
        """Eight bytes of BLAKE2b over its four lines."""
        return _digest("\n".join([self.id, str(self.timestamp), self.stream, self.message]))


@lru_cache(1 << 16)
def _digest(text: str) -> int:
    # Remembered: a client adds up all of them for each mark, and many clients may be one process.
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


@dataclass
class Asked:
    """The range of a verify or repair request."""

    from_: int
    through: int
    repair: bool
    again: set[Position] = field(default_factory=set)


class ProtocolClient:
    """A viewer's state across connections, with checks of every message."""

    def __init__(
        self,
        url: str,
        *,
        group: str | None = None,
        since: int | None = None,
        streams: Sequence[str] = (),
        executions: Sequence[str] = (),
        prefixes: Sequence[str] = (),
        history: str | None = None,
        base: int = 0,
        credit: int | None = None,
    ) -> None:
        self.url, self.group, self.history = url, group, history
        self.streams, self.executions, self.prefixes = streams, executions, prefixes
        self.since, self.base, self.credit = since, base, credit
        self.events: dict[Position, Event] = {}
        self.epoch: str | None = None
        self.cursor = 0
        self.held: Held | None = None
        self.done = False
        self.gaps: dict[str, dict[str, Any]] = {}
        self.green: list[tuple[int, int]] = []
        self.connections: list[Connection] = []

    # State

    def messages(self) -> list[str]:
        """The confirmed messages in display order."""
        return [one.message for _, one in sorted(self.events.items()) if one.confirmed]

    def total(self, from_: int, through: int, seq: int) -> tuple[int, str]:
        """Count and digest of the events held in a range."""
        count = digest = 0
        for one in self.events.values():
            inside = from_ <= one.timestamp <= through and self.base < one.seq <= seq
            if inside and one.confirmed and self.wants(one.stream):
                count += 1
                digest += one.digest()
        return count, f"{digest % (1 << 64):016x}"

    def wants(self, stream: str) -> bool:
        """Whether the filters match the log stream."""
        if not (self.streams or self.executions or self.prefixes):
            return True
        return (
            stream in self.streams
            or any(stream == one or stream.endswith("/" + one) for one in self.executions)
            or any(stream.startswith(one) for one in self.prefixes)
        )

    @property
    def complete_through(self) -> int | None:
        """Time through which marks prove completeness (PROTOCOL.md's T), ms; None without."""
        if self.since is None or not self.done:
            return None
        reached = self.since - 1
        for from_, through in sorted(self.green):
            if from_ <= reached + 1:
                reached = max(reached, through)
        for gap in self.gaps.values():
            if gap["state"] == "unrecoverable" and gap["through"] >= self.since:
                reached = min(reached, gap["from"] - 1)
        return reached if reached >= self.since else None

    # Connecting

    def query(self) -> dict[str, Any]:
        """Query parameters of the next connection, with a cursor if there is one."""
        query: dict[str, Any] = {
            "stream": list(self.streams),
            "execution": list(self.executions),
            "prefix": list(self.prefixes),
        }
        # A cursor without held requests no history: while history is missing, start afresh.
        if self.epoch is not None and (self.done or self.held is not None):
            query |= {"epoch": self.epoch, "after": self.cursor}
            if self.held is not None and not self.done:
                query["held"] = "..".join(_written(one) for one in self.held)
        for name in ("group", "since", "history", "credit"):
            if getattr(self, name) is not None:
                query[name] = getattr(self, name)
        if self.base:
            query["base"] = self.base
        return query

    async def connect(self, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - a query's values
        """Connect with ``parameters`` (default: ``query()``); returns the welcome."""
        query = parameters or self.query()
        separator = "&" if "?" in self.url else "?"
        opened = await connect(
            self.url + separator + urlencode(query, doseq=True),
            max_size=ACCEPTED_BYTES,
            max_queue=None,
            proxy=None,
            # On a busy machine either end may not run for seconds; every wait here has its limit.
            open_timeout=WAIT_S,
            ping_interval=None,
        )
        connection = Connection(self, opened, resuming="epoch" in query)
        self.connections.append(connection)
        return await connection.step()

    @property
    def now(self) -> Connection:
        """The current connection."""
        return self.connections[-1]

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Receive messages until a condition holds."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not condition():
                    await self.now.step()
        except TimeoutError as error:
            message = f"waited {WAIT_S:.0f} s in vain for {what}; {self.now.describe()}"
            raise BrokenRuleError(message) from error

    async def until_verified(self, through: int) -> None:
        """Receive messages until marks prove completeness through a time in ms."""
        await self.until(
            lambda: (self.complete_through or -1) >= through, f"marks through {through}"
        )

    async def until_messages(self, wanted: Iterable[str]) -> None:
        """Receive messages until exactly these events are held, each once."""
        want = sorted(wanted)
        await self.until(lambda: len(self.messages()) >= len(want), f"{len(want)} events")
        demand(sorted(self.messages()) == want, "the events held differ from those written")


class Connection:
    """One connection and the state that starts with it."""

    def __init__(self, client: ProtocolClient, socket: ClientConnection, *, resuming: bool) -> None:
        self.client, self.socket, self.resuming = client, socket, resuming
        self.welcome: dict[str, Any] = {}
        self.n = self.items = 0
        self.granted = client.credit
        self.frames: list[tuple[str, int, bool]] = []
        """(type, items, neutral) of each message."""
        self.marks: list[dict[str, Any]] = []
        self.heartbeats: list[dict[str, Any]] = []
        self.digests: list[tuple[dict[str, Any], bool]] = []
        """Digest replies, each with whether it equals the client's own."""
        self.ends: list[dict[str, Any]] = []
        self.bye: dict[str, Any] | None = None
        self._asked: list[Asked] = []
        self._stored_held = client.held

    def describe(self) -> str:
        """The connection's state, for failure messages."""
        return f"n={self.n} cursor={self.client.cursor} held={self.client.held} {self.frames[-8:]}"

    async def send(self, message: dict[str, Any]) -> None:
        """Send one message unchanged."""
        await self.socket.send(json.dumps(message))

    async def grant(self, events: int) -> None:
        """Raise the credit grant by a number of events."""
        assert self.granted is not None
        self.granted += events
        await self.send({"type": "credit", "events": self.granted})

    async def verify(self, from_: int, through: int) -> bool:
        """Verify a range; returns whether both ends agree."""
        return await self._ask("verify", from_, through)

    async def repair(self, from_: int, through: int) -> bool:
        """Repair a range; returns whether both ends then agree."""
        return await self._ask("repair", from_, through)

    async def _ask(self, kind: str, from_: int, through: int) -> bool:
        self._asked.append(Asked(from_, through, repair=kind == "repair"))
        answered = len(self.digests)
        await self.send({"type": kind, "from": from_, "through": through})
        await self.client.until(lambda: len(self.digests) > answered, f"the answer to {kind}")
        return self.digests[answered][1]

    async def cut(self) -> None:
        """Abort the connection without a close frame."""
        self.socket.transport.abort()
        await self.socket.wait_closed()

    async def close(self) -> None:
        """Close the connection with a close handshake."""
        await self.socket.close()

    async def step(self) -> dict[str, Any]:
        """Receive one message and check it."""
        heartbeat_s = self.welcome.get("heartbeat_ms", 0) / 1000
        # PROTOCOL.md: close after two missed heartbeats; the rest allows for a slow machine.
        async with asyncio.timeout(2 * heartbeat_s + WAIT_S):
            frame = await self.socket.recv()
        demand(isinstance(frame, str), "a binary frame")
        assert isinstance(frame, str)
        message: dict[str, Any] = json.loads(frame)
        demand(isinstance(message, dict), "a frame that is not an object")
        demand(message.get("n") == self.n + 1, f"n {message.get('n')} after {self.n}")
        self.n += 1
        demand(self.bye is None, "a message after bye")
        kind = message["type"]
        demand((kind == "welcome") == (self.n == 1), f"{kind} as message {self.n}")
        items = len(message.get("items", ()))
        neutral = kind == "events" and message["after"] == message["seq"]
        self.frames.append((kind, items, neutral))
        size = len(frame.encode("utf-8"))
        demand(items <= 500, f"a frame of {items} events")
        demand(size <= 1 << 20 or items == 1, f"a frame of {size} bytes")
        handler = getattr(self, "_on_" + kind, None)
        if handler is not None:
            handler(message)
        if kind == "heartbeat" and self.granted is not None:
            await self.send({"type": "credit", "events": self.granted})
        return message

    def _on_welcome(self, message: dict[str, Any]) -> None:
        client = self.client
        demand(message["protocol"] == 1, "another protocol")
        outcome = message["outcome"]
        allowed = ("resumed", "rebased") if self.resuming else ("fresh",)
        demand(outcome in allowed, f"outcome {outcome}, resuming: {self.resuming}")
        demand(message["heartbeat_ms"] > 0, "no heartbeat")
        demand(message["after"] <= message["head_seq"], "a cursor above the head")
        if outcome == "resumed":
            demand(message["after"] == client.cursor, "resumed at another cursor")
            demand(message["since"] == client.since, "resumed with another since")
        else:
            for one in client.events.values():
                one.confirmed = False
            client.held, client.done, client.green = None, False, []
        if client.since is not None:
            demand(message["since"] == client.since, "another since")
        client.since = message["since"]
        client.epoch, client.cursor = message["epoch"], message["after"]
        client.gaps = {}
        self.welcome = message
        self._stored_held = client.held

    def _on_events(self, message: dict[str, Any]) -> None:
        client = self.client
        after, seq = message["after"], message["seq"]
        demand(after == client.cursor, f"events after {after}, the cursor is {client.cursor}")
        demand(seq >= after, "events that end before they begin")
        previous = after
        for item in message["items"]:
            demand(len(item) >= 7, "an item with fields missing")
            event = Event(item[0], item[1], item[2], item[4], item[5], item[6])
            demand(item[3] is None or isinstance(item[3], int), "no ingestion time")
            demand(event.origin in ("live", "backfill", "repair"), f"origin {event.origin}")
            demand(client.wants(event.stream), f"stream {event.stream} was not asked for")
            if after == seq:
                self._past(event, seq)
            else:
                demand(previous < event.seq <= seq, f"seq {event.seq} outside ({previous}, {seq}]")
                previous = event.seq
                known = client.events.get(event.position)
                demand(known is None or not known.confirmed, f"duplicated: {event}")
            client.events[event.position] = event
        client.cursor = seq
        self.items += len(message["items"])
        demand(self.granted is None or self.items <= self.granted, "more than was granted")

    def _past(self, event: Event, cursor: int) -> None:
        demand(event.seq <= cursor, f"seq {event.seq} in a neutral frame at {cursor}")
        repairs = [one for one in self._asked if one.repair]
        if repairs and repairs[0].from_ <= event.timestamp <= repairs[0].through:
            repairs[0].again.add(event.position)
            return
        assert self.client.since is not None
        demand(event.timestamp >= self.client.since, "past from before since")
        demand(
            self.client.held is None or not _within(event.position, self.client.held),
            f"past that is held already: {event}",
        )

    def _on_backfill(self, message: dict[str, Any]) -> None:
        held = _read_held(message["held"])
        before = self.client.held
        demand(not self.client.done or message["done"], "done, and then not")
        if before is not None and self.client.done is False:
            demand(_covers(held, before), f"held shrinks from {before} to {held}")
        self.client.held = held
        if message["done"]:
            demand(held[1] is None, f"done, but not open above: {held}")
            since = (self.client.since or 0, 0)
            demand(held[0] is None or held[0] <= since, f"done, but not down to since: {held}")
            self.client.done = True

    def _on_heartbeat(self, message: dict[str, Any]) -> None:
        demand(message["sent_seq"] == self.client.cursor, "heartbeat with another sent_seq")
        demand(message["head_seq"] >= message["sent_seq"], "sent more than there is")
        states = ("ok", "delayed", "throttled", "unreachable")
        demand(message["upstream"]["state"] in states, f"upstream {message['upstream']}")
        if message["upstream"]["state"] != "ok":
            told = [message["upstream"].get(name) for name in ("code", "reason")]
            demand(
                all(isinstance(one, str) and one and "\n" not in one for one in told),
                f"upstream without code and reason: {message['upstream']}",
            )
        self.heartbeats.append(message)

    def _on_mark(self, message: dict[str, Any]) -> None:
        client = self.client
        demand(message["seq"] == client.cursor, "a mark that is not of this point of the stream")
        demand(message["from"] <= message["through"], "a mark of nothing")
        demand(message["from"] >= (client.since or 0), "a mark from before since")
        if not client.done:
            demand(client.held is not None, "a mark before any backfill")
            assert client.held is not None
            for at in ((message["from"], 0), (message["through"], 10**57)):
                demand(_within(at, client.held), f"a mark outside held: {message} {client.held}")
        own = client.total(message["from"], message["through"], message["seq"])
        theirs = (message["count"], message["digest"])
        demand(own == theirs, f"mark {message}: own {own}")
        self.marks.append(message)
        client.green.append((message["from"], message["through"]))

    def _on_gap(self, message: dict[str, Any]) -> None:
        states = ("suspected", "repairing", "repaired", "unrecoverable")
        demand(message["state"] in states, f"a gap that is {message['state']}")
        self.client.gaps[message["id"]] = message

    def _on_digest(self, message: dict[str, Any]) -> None:
        demand(bool(self._asked), "a digest without a request")
        asked = self._asked.pop(0)
        demand(asked.from_ <= message["from"], "a digest of more than was asked for")
        demand(message["through"] <= asked.through, "a digest of more than was asked for")
        demand(message["seq"] == self.client.cursor, "a digest of another point of the stream")
        if asked.repair:
            for position, one in self.client.events.items():
                if message["from"] <= one.timestamp <= message["through"]:
                    one.confirmed = position in asked.again
        own = self.client.total(message["from"], message["through"], message["seq"])
        self.digests.append((message, own == (message["count"], message["digest"])))

    def _on_end(self, message: dict[str, Any]) -> None:
        demand(self.client.done, "end before the past is done")
        own = self.client.total(message["from"], message["through"], message["seq"])
        demand(own == (message["count"], message["digest"]), f"end {message}: own {own}")
        self.ends.append(message)

    def _on_bye(self, message: dict[str, Any]) -> None:
        self.bye = message

    async def close_code(self) -> int | None:
        """Receive messages until the forwarder closes; returns the close code."""
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    await self.step()
        except websockets.exceptions.ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else None


def _written(position: Position | None) -> str:
    return "" if position is None else f"{position[0]}:{position[1]}"


def _read_held(text: str) -> Held:
    low, dots, high = text.partition("..")
    demand(dots == "..", f"held {text}")
    return _read_position(low), _read_position(high)


def _read_position(text: str) -> Position | None:
    if not text:
        return None
    timestamp, _, event_id = text.partition(":")
    return int(timestamp), int(event_id)


def _within(position: Position, held: Held) -> bool:
    low, high = held
    return (low is None or low <= position) and (high is None or position <= high)


def _covers(outer: Held, inner: Held) -> bool:
    low = outer[0] is None or (inner[0] is not None and outer[0] <= inner[0])
    high = outer[1] is None or (inner[1] is not None and outer[1] >= inner[1])
    return low and high
