"""Runs of some consumers in sequence, killed at any point, over a forwarder's model.

Queue, progress and files are the product's own.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple

import pytest

from tui.client.saved import Cursor
from tui.lines.filters import output_filter
from tui.lines.rows import TARGET_BITS, Line
from tui.output.consumer import ConsumedTarget, Consumer, OutputQuery
from tui.output.ordering import ReleaseState
from tui.output.output_queue import OutputQueue, PrintSlice
from tui.output.progress import StreamPosition
from wire.order import ID_BITS, Interval, first_key
from wire.query import Filter

SINCE = 10
ALL_LINES = OutputQuery(Filter())
ERRORS = OutputQuery(Filter(), grep=("error",))
CONSUMERS = {"all": ALL_LINES, "errors": ERRORS, "": ALL_LINES}
"""Each has its own query; the nameless one is the default consumer."""


class Event(NamedTuple):
    """One event of the model's journal."""

    seq: int
    key: int
    message: str
    number: int
    """What it is in every journal."""

    @property
    def timestamp(self) -> int:
        return self.key >> ID_BITS

    def line(self) -> Line:
        return Line(self.key << TARGET_BITS, self.seq, None, "s", self.message, "live", 0, 0, 1)


class Journal:
    """The forwarder's events."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.epoch = "e"

    @property
    def head(self) -> int:
        return len(self.events)

    def add(self, timestamps: list[int]) -> None:
        for timestamp in timestamps:
            seq = self.head + 1
            text = "error" if seq % 3 == 0 else "fine"
            key = timestamp << ID_BITS | seq * 7 % 1000
            self.events.append(Event(seq, key, f"{text} {seq}", seq))

    def lose(self, rng: Random) -> None:
        """Read every event again, in another order: another journal numbers them anew."""
        found = rng.sample(self.events, len(self.events))
        self.events = [one._replace(seq=seq) for seq, one in enumerate(found, 1)]
        self.epoch += "+"


class Stream:
    """What the forwarder sends on one connection: live events and history, in small pieces."""

    def __init__(self, journal: Journal, cursor: Cursor | None, rebases: int = 0) -> None:
        self.journal, self.epoch = journal, journal.epoch
        self.rebases = rebases or cursor is None  # a session counts its first ``welcome`` as well
        if cursor is not None and cursor.epoch != journal.epoch:
            cursor, self.rebases = None, rebases + 1
        self.connected = journal.head
        self.after = journal.head if cursor is None else cursor.after
        self.live_from = self.after
        held = Interval(0, 0) if cursor is None else cursor.held
        past = [
            one
            for one in journal.events
            if one.seq <= self.after and one.timestamp >= SINCE and one.key not in held
        ]
        low = first_key(SINCE) if held.low in (None, 0) else held.low
        assert low is not None
        self.low, self.high = low, held.high if held.low != 0 else low - 1
        self.below = sorted((one for one in past if one.key < low), key=lambda one: -one.key)
        self.above = sorted((one for one in past if one.key >= low), key=lambda one: one.key)

    @property
    def is_backfilled(self) -> bool:
        return self.high is None and self.low == first_key(SINCE)

    @property
    def position(self) -> StreamPosition:
        held = Interval(0, 0) if self.high is not None and self.high < self.low else None
        held = held or Interval(self.low, self.high)
        return StreamPosition(
            Cursor(self.epoch, self.after, held), SINCE, self.live_from, self.rebases
        )

    def history(self, count: int) -> list[Event]:
        """The next piece of history, from below the held interval and then from above it."""
        if self.low > first_key(SINCE):
            part, self.below = self.below[:count], self.below[count:]
            self.low = part[-1].key if self.below else first_key(SINCE)
            return part
        part, self.above = self.above[:count], self.above[count:]
        self.high = part[-1].key if self.above else None
        return part

    def live(self, count: int) -> list[Event]:
        part = self.journal.events[self.after : self.after + count]
        self.after += len(part)
        return part


class Run(NamedTuple):
    """How a consumer is run; without a name it is a casual look."""

    consumer: str | None
    order: Literal["strict", "arrival"]
    until: int | None
    lines: int | None
    is_killed: bool

    @classmethod
    def of(cls, rng: Random) -> Run:
        return cls(
            rng.choice([*CONSUMERS, None]),
            rng.choice(["strict", "arrival"]),
            rng.choice([None, rng.randint(SINCE, 40)]),
            rng.choice([None, None, rng.randint(0, 5)]),
            rng.random() < 0.5,
        )


class Process:
    """One process of a run, fed by a stream."""

    def __init__(self, run: Run, stream: Stream, consumer: Consumer | None) -> None:
        self.stream, self.consumer = stream, consumer
        self.queue = OutputQueue(
            order=run.order,
            hold_ms=3,
            lines=run.lines,
            start_ms=None,
            until_ms=run.until,
            test=output_filter(CONSUMERS[run.consumer or ""].grep),
            printed=None if consumer is None else consumer.progress,
            keys=() if consumer is None else consumer.keys,
        )
        self.received: set[int] = set()
        self.printed: list[int] = []
        self.saved = 0
        self.now = 50

    def receive(self, events: list[Event]) -> None:
        new = [one for one in events if one.key not in self.received]
        self.received |= {one.key for one in new}
        self.queue.add_lines([one.line() for one in new], self.now, [self.stream.rebases])

    def reconnect(self) -> None:
        """Follow the journal to its new numbers, as a session does."""
        stream = self.stream
        if stream.epoch != stream.journal.epoch:
            self.stream = Stream(stream.journal, stream.position.cursor, stream.rebases)

    def print_ready(self, rng: Random) -> None:
        state = ReleaseState(self.now, None, self.stream.is_backfilled)
        for one in self.queue.take_ready(state, [self.stream.position]):
            self.print(one, saves=rng.random() < 0.5)

    def print(self, one: PrintSlice, *, saves: bool) -> None:
        self.printed.extend(_number(line.line) for line in one.lines)
        if self.consumer:
            self.consumer.note_printed(line.line for line in one.lines)
        if self.consumer and one.progress is not None and saves:
            self.consumer.save(one.progress)
            self.saved = len(self.printed)

    def leave(self) -> None:
        """End in order before everything was received."""
        for one in self.queue.take_all([self.stream.position]):
            self.print(one, saves=True)

    def end(self) -> None:
        """Receive and print all that is left."""
        self.reconnect()
        while self.stream.after < self.stream.journal.head:
            self.receive(self.stream.live(3))
        while not self.stream.is_backfilled:
            self.receive(self.stream.history(3))
        for one in self.queue.take_all([self.stream.position]):
            self.print(one, saves=True)


class World:
    """The journal, the folder of cursors, and all that was printed."""

    def __init__(self, folder: Path, rng: Random, losses: float = 0, partial: float = 0) -> None:
        self.folder, self.rng = folder, rng
        self.losses, self.partial = losses, partial
        self.journal = Journal()
        self.safe: dict[str, set[int]] = {name: set() for name in CONSUMERS}
        self.shown: dict[str, Counter[int]] = {name: Counter() for name in CONSUMERS}
        self.excused: dict[str, Counter[int]] = {name: Counter() for name in CONSUMERS}

    def matching(self, query: OutputQuery) -> list[Event]:
        return [one for one in self.journal.events if "error" in one.message or not query.grep]

    def write(self) -> None:
        self.journal.add([self.rng.randint(SINCE, 40) for _ in range(self.rng.randint(0, 8))])

    def run(self, run: Run) -> None:
        consumer = None
        if run.consumer is not None:
            query = CONSUMERS[run.consumer]
            target = ConsumedTarget(identity="own:x", group="/g", name="/g", query=query)
            consumer = Consumer(self.folder, run.consumer, "text", [target], _fail)
        before = None if consumer is None else consumer.progress[0]
        process = Process(run, Stream(self.journal, before.cursor if before else None), consumer)
        for _ in range(self.rng.randint(0, 14)):
            self._do_something(process)
        is_partial = not run.is_killed and self.rng.random() < self.partial
        if is_partial:
            process.leave()
        elif not run.is_killed:
            process.end()
        if consumer is not None:
            consumer.close()
            self._note(run.consumer or "", process)
            if not run.is_killed and not is_partial:
                self._check(run, process.printed)

    def _do_something(self, process: Process) -> None:
        process.now += self.rng.randint(0, 2)
        if self.rng.random() < self.losses:
            self.journal.lose(self.rng)
        process.reconnect()
        match self.rng.randint(0, 4):
            case 0:
                process.receive(process.stream.history(self.rng.randint(1, 4)))
            case 1:
                process.receive(process.stream.live(self.rng.randint(1, 4)))
            case 2:
                self.write()
            case _:
                process.print_ready(self.rng)

    def _note(self, name: str, process: Process) -> None:
        printed, saved = process.printed, process.saved
        assert len(printed) == len(set(printed)), "a run prints no line twice"
        assert not self.safe[name] & set(printed), "printed and saved, then printed again"
        self.safe[name] |= set(printed[:saved])
        self.shown[name].update(printed)
        self.excused[name].update(printed[saved:])

    def _check(self, run: Run, printed: list[int]) -> None:
        """Check a run that ended by itself."""
        until = 1 << 40 if run.until is None else run.until
        events = {one.number: one for one in self.journal.events}
        assert all(events[number].timestamp <= until for number in printed)
        matching = self.matching(CONSUMERS[run.consumer or ""])
        safe = self.safe[run.consumer or ""]
        missing = [one for one in matching if one.timestamp <= until and one.number not in safe]
        if run.lines is None:
            assert missing == [], "every line that the query matched was printed"
            return
        assert len(printed) <= run.lines
        if printed:
            first = min(events[number].key for number in printed)
            assert all(one.key < first for one in missing), "the last lines were printed"


def _number(line: Line) -> int:
    return int(line.message.split()[1])


def _fail(text: str) -> None:
    raise AssertionError(text)


@pytest.mark.parametrize("block", range(10))
@pytest.mark.parametrize(("losses", "partial"), [(0, 0), (0.1, 0), (0.15, 0.6)])
def test_the_runs_of_a_consumer_print_what_its_queries_match_once_each(
    block: int, losses: float, partial: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the forwarder loses its journal, and runs end before they have received all."""
    monkeypatch.setattr("common.files.os.fsync", lambda _descriptor: None)
    monkeypatch.setattr("tui.output.output_queue.SLICE_LINES", 2)
    for seed in range(block * 25, block * 25 + 25):
        rng = Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        world = World(folder, rng, losses, partial)
        for _ in range(rng.randint(0, 8)):
            world.write()
            world.run(Run.of(rng))
        for name, query in CONSUMERS.items():
            world.partial = 0
            world.run(Run(name, "strict", None, None, is_killed=False))
            wanted = {one.number for one in world.matching(query)}
            assert set(world.shown[name]) == wanted, f"nothing is lost (seed {seed})"
            again = world.shown[name] - Counter(wanted)
            assert again <= world.excused[name], f"only unsaved lines are repeated (seed {seed})"
            assert world.safe[name] == wanted
