"""An unreliable live path beside the polls of a simulated run.

It omits, duplicates, swaps and delays events, falls silent, and delivers events that CloudWatch
has deleted meanwhile. It also delivers records of another account's log group with the same name
and of another filter. None of that may change what viewers receive and show.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from random import Random
from typing import Any
from unittest.mock import patch

from forwarder.ingest import live_check
from forwarder.ingest.executions import Ends, Lifecycle
from forwarder.live import receiver
from forwarder.live.decoding import LiveBatch
from forwarder.live.receiver import LiveReceiver
from forwarder.records import LiveSource, LogEvent
from tests.simulation.cloudwatch import Stored
from tests.simulation.forwarder import Forwarder, ScanRecord
from tests.simulation.judge import FaultError, Judge
from tests.simulation.plan import Plan, small_world
from tests.simulation.world import World
from wire.limits import TIMESTAMP_MAX

OURS = LiveSource("1", ("all",))
OTHER_FILTER = LiveSource("1", ("transformed",))
OTHER_ACCOUNT = LiveSource("2", ("all",))


async def find_ends_at_once(lifecycle: Lifecycle | None, events: Sequence[LogEvent]) -> Ends:
    """Like ``find_ends``, without a thread: virtual time has no event loop."""
    if lifecycle is None or not lifecycle.reads_messages:
        return {}
    return lifecycle.ends_among(events)


SMALL = {
    (receiver, "find_ends"): find_ends_at_once,
    (live_check, "PHANTOM_MS"): 20_000,
    (live_check, "SUSPECT_MS"): 2_000,
    (live_check, "OTHER_ID_MS"): 2_000,
    (live_check, "ROW_OTHER_ID_MS"): 8_000,
    (live_check, "AGREED_MIN"): 2,
    (receiver, "ROW_AGE_MAX_MS"): 15_000,
    (receiver, "RELIED_POLL_MS"): 3_000,
    (live_check, "PROBATION_MS"): 5_000,
}


def complete(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that only yields to the event loop."""
    try:
        while True:
            work.send(None)
    except StopIteration:
        return


class LivePath:
    """The live path of one forwarder process."""

    def __init__(self, world: World, forwarder: Forwarder, *, has_other_ids: bool) -> None:
        """Start with events written from now on."""
        self.world, self.forwarder = world, forwarder
        self.random = Random(world.plan.seed * 31 + len(world.cloudwatch.ledger))
        self.has_other_ids = has_other_ids
        self.read = len(world.cloudwatch.ledger)
        self.waiting: list[tuple[int, Stored]] = []
        self.silent_until = 0
        self.receiver = LiveReceiver(
            forwarder.group, self, clock=lambda: world.now, on_progress=forwarder.hub.progress
        )
        self.receiver.attach("kinesis:model")

    # PollControl

    def poll_now(self) -> None:
        """Poll now."""
        self.forwarder.schedule.poll_now(self.world.now)

    def set_poll_interval(self, poll_ms: int | None) -> None:
        """Set the polling interval."""
        self.forwarder.schedule.set_poll_interval(1_000 if poll_ms is None else poll_ms)

    def report_live_delay(self, delay_ms: int) -> None:
        """Ignored: heartbeats are not simulated."""

    # Steps

    def step(self) -> None:
        """Deliver some events."""
        world, random = self.world, self.random
        ledger = world.cloudwatch.ledger
        chance = 0.0 if world.is_healing else 0.15
        for stored in ledger[self.read :]:
            if random.random() < chance:
                continue
            for _ in range(2 if random.random() < chance else 1):
                delay = random.choice((0, 0, 100, 1_000)) if random.random() >= chance else 6_000
                self.waiting.append((max(world.now, stored.put_at) + delay, stored))
        self.read = len(ledger)
        if not world.is_healing and random.random() < 0.01:
            self.silent_until = world.now + random.choice((1_000, 10_000))
            if random.random() < 0.3:
                self.receiver.note_failure("it can't be read")
        if world.now < self.silent_until:
            self.receiver.update_state()
            return
        due = [one for at, one in self.waiting if at <= world.now]
        self.waiting = [(at, one) for at, one in self.waiting if at > world.now]
        random.shuffle(due)
        self._bring(due)
        self.receiver.note_read(0 if not self.waiting else 100)

    def _bring(self, due: list[Stored]) -> None:
        for stored in due:
            event = stored.event
            shift = 10**12 if self.has_other_ids else 0
            self._deliver(OURS, event, int(event.id) + shift, event.message, stored.put_at)
            if self.random.random() < 0.1:
                self._deliver(OTHER_FILTER, event, int(event.id), "x" + event.message, None)
            if self.random.random() < 0.1:
                self._deliver(OTHER_ACCOUNT, event, int(event.id) + 7, "theirs", None)

    def _deliver(
        self, source: LiveSource, event: LogEvent, number: int, text: str, arrived_ms: int | None
    ) -> None:
        live = LogEvent(str(number), event.timestamp, None, event.stream, text)
        delivery = LiveBatch("group", source, [live], arrived_ms=arrived_ms)
        complete(self.receiver.receive(delivery))


class LiveJudge(Judge):
    """A judge for runs in which rows may exist before their events are visible.

    A scan need not return what no scan has returned yet, and then proves nothing of its time.
    """

    def __init__(self, world: LiveWorld) -> None:
        """Judge ``world``."""
        super().__init__(world)
        self._returned_at: dict[str, int] = {}
        self._limits: dict[int, int] = {}
        self._noted = world

    def note(self) -> None:
        """Note when scans returned their events."""
        for record in self._noted.records:
            for event_id in record.returned - self._returned_at.keys():
                self._returned_at[event_id] = self._noted.now

    def _failed(self, record: ScanRecord) -> bool:
        if record.failed is None:
            assert record.ended is not None
            top = TIMESTAMP_MAX if record.through is None else record.through
            there = {
                one.event.id
                for one in self._noted.cloudwatch.ledger
                if one.generation == record.generation and one.is_there(record.ended)
            }
            unseen = {
                event_id: timestamp
                for event_id, (timestamp, stream) in record.known.items()
                if event_id in there
                and stream not in self._noted.cloudwatch.remade
                and event_id not in record.returned
                and self._returned_at.get(event_id, record.ended) >= record.ended
            }
            times = [one for one in unseen.values() if record.from_ <= one <= top]
            self._limits[id(record)] = min(times, default=top + 1) - 1
            for event_id in unseen:
                del record.known[event_id]
        return super()._failed(record)

    def _covered(self, record: ScanRecord) -> int:
        return min(super()._covered(record), self._limits[id(record)])


class LiveWorld(World):
    """A world whose forwarders have a live path."""

    def __init__(self, plan: Plan) -> None:
        """Create the world; one in four live paths has different ids."""
        super().__init__(plan)
        self.judge: LiveJudge = LiveJudge(self)
        self.path: LivePath | None = None
        self.has_other_ids = Random(plan.seed + 5).random() < 0.25
        self.rows = 0
        """Number of rows from live paths."""
        self.refuted = 0
        """Number of chains that ended because no scan returned a live path's row."""

    def _forward(self) -> None:
        forwarder = self.forwarder
        if forwarder is not None:
            path = self.path
            if path is None or path.forwarder is not forwarder:
                path = self.path = LivePath(self, forwarder, has_other_ids=self.has_other_ids)
            before = path.receiver.counts.rows
            path.step()
            self.rows += path.receiver.counts.rows - before
        epoch = None if forwarder is None else forwarder.group.epoch
        super()._forward()
        self.judge.note()
        goes_on = forwarder is not None and self.forwarder is forwarder
        if goes_on and forwarder is not None and forwarder.group.epoch != epoch:
            self.refuted += 1
            self.journal_is_intact = False


@contextmanager
def small_live_world(plan: Plan) -> Iterator[None]:
    """Like ``small_world``, and reduce the live path's limits."""
    with small_world(plan), ExitStack() as stack:
        for (module, name), value in SMALL.items():
            stack.enter_context(patch.object(module, name, value))
        yield


def run(seed: int, only: tuple[str, ...] | None = None) -> LiveWorld:
    """Run one seed; a fault's message contains it."""
    plan = Plan.of(seed, only)
    with small_live_world(plan):
        world = LiveWorld(plan)
        try:
            world.run()
        except FaultError as fault:
            fault.add_note(f"{plan}, step {world.steps}, at {world.now}: {world.trace[-5:]}")
            raise
    return world
