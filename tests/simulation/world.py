"""One run: a model CloudWatch, a forwarder, viewers and a network, interleaved by a seed.

First chaos, with all troubles of the plan; then everything is healed, and within a bound every
viewer must be complete, verified and idle.
"""

from __future__ import annotations

from collections import Counter
from itertools import count
from random import Random

from tests.simulation.cloudwatch import CloudWatch
from tests.simulation.forwarder import Forwarder, ScanRecord
from tests.simulation.judge import FaultError, Judge
from tests.simulation.lies import LIES, Lies
from tests.simulation.link import Link, Toxics
from tests.simulation.plan import FILTERS, START, STREAMS, Plan, small_world
from tests.simulation.troubles import Saboteur
from tests.simulation.viewer import Poller, Saved, Viewer
from tests.support.forwarder.memory_journal import MemoryJournal
from wire.messages import ServerMessage, Welcome

CHAOS_STEPS = 110
AHEAD_MS = 200_000
"""How far the trouble ``ahead`` stamps events ahead of the clock."""

HEAL_MS = 300_000
"""Bound for convergence; long because a credit of two events refetches few bodies at a time."""

THROTTLE = 0.5
"""Share of calls that are refused while CloudWatch throttles."""


class World:
    """The state of one run."""

    def __init__(self, plan: Plan) -> None:
        """Create all parts at ``START``, without connections."""
        self.plan = plan
        self.random = Random(plan.seed * 7919 + 1)
        self.now = START
        self.steps = 0
        self.cloudwatch = CloudWatch(counted_ids=plan.counted_ids)
        self.toxics = Toxics()
        self._epochs = count(1)
        self._links = count(1)
        self._messages = count(1)
        self.live_streams = list(STREAMS)
        self._write_past()
        if "expiry" in plan.troubles:
            self.cloudwatch.retention_ms = self.random.choice((8_000, 20_000))
        self.lies: Lies | None = None
        if set(plan.troubles) & set(LIES):
            self.lies = Lies(self.cloudwatch, self.random)
        self.journal = self.new_journal()
        self.records: list[ScanRecord] = []
        self.lost: set[str] = set()
        self.forwarder: Forwarder | None = self._start()
        self.down_until = 0
        self.blocked_until = 0
        self.throttled_until = 0
        self.copies: list[MemoryJournal] = []
        self.is_healing = False
        self.viewers = [self._new_viewer(number) for number in range(plan.viewers)]
        self.pollers = {viewer.name: Poller(viewer, self.now) for viewer in self.viewers}
        self.links: dict[int, Link] = {}
        self.saved: dict[str, Saved | None] = {}
        self.journal_is_intact = True
        self.judge = Judge(self)
        self.saboteur = Saboteur(self)
        self.trace: list[str] = []
        self.seen: Counter[str] = Counter()
        """Counts of message kinds and outcomes that viewers received."""

    # Setup

    def new_journal(self) -> MemoryJournal:
        return MemoryJournal("group", make_epoch=lambda: f"e{next(self._epochs)}")

    def _start(self) -> Forwarder:
        return Forwarder(
            self.journal, self.cloudwatch, self.records, self.lost, self.now, self.lies
        )

    def _new_viewer(self, number: int) -> Viewer:
        random = self.random
        wanted = random.choice(FILTERS)
        since = random.choice((START - 30_000, START - 12_000, START + 2_000, None))
        history = random.choice(("newest", "oldest"))
        viewer = Viewer(
            f"viewer {number}", wanted, since, "oldest" if history == "oldest" else "newest"
        )
        viewer.retry_at = START + random.choice((0, 0, 3_000, 10_000))
        return viewer

    def _write_past(self) -> None:
        random = self.random
        at = START - 40_000
        for _ in range(random.choice((0, 5, 30, 60))):
            at = min(START, at + random.choice((0, 0, 1, 200, 1_500)))
            stream = random.choice(self.live_streams)
            self.cloudwatch.put(stream, at, f"past {next(self._messages)}", at, 0)

    # Steps

    def step(self) -> None:
        """Advance the clock and let each part act."""
        self.steps += 1
        random = self.random
        stride = (0, 5, 40, 150, 400) if not self.is_healing else (100, 400, 800)
        self.now += random.choice(stride)
        self.cloudwatch.keep_retention(self.now)
        if not self.is_healing:
            self._write()
            self.saboteur.act()
        self._forward()
        for viewer in self.viewers:
            self._view(viewer)
        self.judge.look()

    def _write(self) -> None:
        random, troubles = self.random, self.plan.troubles
        amount = random.choice((0, 0, 1, 2))
        if "bursts" in troubles and random.random() < 0.05:
            amount = 12
        if "overload" in troubles:
            amount += random.choice((1, 3))
        at = self.now - random.choice((0, 0, 1, 300))
        for _ in range(amount if self.live_streams else 0):
            stream = random.choice(self.live_streams)
            at, delay = self._stamp(at)
            if self.cloudwatch.retention_ms is not None:  # CloudWatch refuses older events
                at = max(at, self.now - self.cloudwatch.retention_ms + 1)
            is_over = random.random() < 0.01
            text = f"line {next(self._messages)}{' DONE ok' if is_over else ''}"
            self.cloudwatch.put(stream, at, text, self.now, delay)
            if is_over and random.random() < 0.8:
                self.live_streams.remove(stream)
                break

    def _stamp(self, at: int) -> tuple[int, int]:
        """Timestamp of the next event of a batch, and its delay of visibility in ms."""
        random, troubles = self.random, self.plan.troubles
        delay = random.choice((0, 0, 200, 1_500))
        if "ahead" in troubles and random.random() < 0.1:
            at = self.now + AHEAD_MS
        if "late" in troubles:
            kind = random.random()
            if kind < 0.1:
                at = self.now - random.choice((3_000, 10_000, 35_000))
            elif kind < 0.15:
                at = self.now + random.choice((500, 20_000))
            elif kind < 0.25:
                delay = random.choice((4_000, 20_000))
        elif "bursts" not in troubles:
            at = max(at, self.now - random.choice((0, 0, 50)))
        return at, delay

    # Parts

    def _forward(self) -> None:
        forwarder, random = self.forwarder, self.random
        if forwarder is None:
            if self.now < self.down_until and not self.is_healing:
                return
            forwarder = self.forwarder = self._start()
        forwarder.begin_due(self.now)
        self._scan(forwarder)
        forwarder.check_streams(self.now)
        if random.random() < 0.1 or self.is_healing:
            forwarder.retain(self.now)
        frames = 8 if self.is_healing else random.choice((0, 1, 2, 4))
        for connection in list(forwarder.connections.values()):
            link = connection.link
            while (message := link.take_up(random, self.toxics)) is not None:
                forwarder.hub.receive(connection.served, message)
            if link.is_closed_by_client:
                forwarder.disconnect(link.number)
            else:
                forwarder.send(connection, self.now, frames)

    def _scan(self, forwarder: Forwarder) -> None:
        random = self.random
        for task in list(forwarder.tasks):
            # At most one page per step during chaos; scans are fast once healed.
            for _ in range(50 if self.is_healing else random.random() < 0.6):
                if task not in forwarder.tasks:
                    continue
                if self.now < self.throttled_until and random.random() < THROTTLE:
                    forwarder.throttled(self.now)
                else:
                    forwarder.page(task, self.now, self.plan.page_events)

    def _view(self, viewer: Viewer) -> None:
        random = self.random
        if "blocked" in self.plan.troubles:
            poller = self.pollers[viewer.name]
            poller.step(self.forwarder, self.now, 50 if self.is_healing else random.choice((0, 3)))
            self.judge.after(viewer)
        link = viewer.link
        if link is None:
            if self.now >= viewer.retry_at and not viewer.is_final:
                self._connect(viewer)
            return
        for _ in range(8 if self.is_healing else random.choice((0, 1, 3))):
            message = link.take_down(random, self.toxics)
            if message is not None:
                self.seen[_what(message)] += 1
                self.judge.before(viewer, message)
                viewer.take(message, self.now)
                self.judge.after(viewer)
                if viewer.link is not link:
                    break
        if viewer.link is link and link.close_code is not None and not link.down:
            viewer.closed(self.now, 200)
        viewer.tick(self.now)
        if viewer.link is None:
            viewer.retry_at = max(viewer.retry_at, self.now + 100)

    def _connect(self, viewer: Viewer) -> None:
        if self.forwarder is None or (self.now < self.blocked_until and not self.is_healing):
            viewer.session.begin_attempt()  # an attempt that fails
            viewer.closed(self.now, 500)
            return
        link = Link(next(self._links))
        self.links[link.number] = link
        self.forwarder.connect(link, viewer.session.begin_attempt(), self.now)
        viewer.opened(link, self.now)

    # Runs

    def fingerprint(self) -> tuple[object, ...]:
        """A text that differs between different runs: final time and all lines shown."""
        shown = [(viewer.session.after, sorted(viewer.good)) for viewer in self.viewers]
        return self.now, self.steps, self.judge.marks, self.journal.head_seq, self.trace, shown

    def chaos(self, steps: int = CHAOS_STEPS) -> None:
        """Run with troubles."""
        for _ in range(steps):
            self.step()

    def heal(self) -> None:
        """End all troubles and run until all viewers have converged."""
        self.is_healing = True
        self.toxics = Toxics()
        self.throttled_until = 0
        if self.lies is not None:
            self.lies.until.clear()
        for one in self.cloudwatch.stored:
            one.hidden = [(a, min(b, self.now)) for a, b in one.hidden if a <= self.now]
        for stream in self.live_streams:
            if stream in self.cloudwatch.created and self.random.random() < 0.7:
                text = f"last words {next(self._messages)} DONE ok"
                self.cloudwatch.put(stream, self.now, text, self.now, 700)

    def run(self) -> None:
        """The whole run.

        Raises:
            FaultError: the system is at fault.

        """
        self.chaos()
        self.heal()
        healed_at = self.now
        while not self.judge.is_at_rest(healed_at):
            if self.now - healed_at > HEAL_MS:
                raise self.judge.why_not_at_rest(healed_at)
            self.step()
        self.judge.finally_()


def _what(message: ServerMessage) -> str:
    if isinstance(message, Welcome):
        return "lost" if message.lost else message.outcome
    return type(message).__name__


def run(seed: int, only: tuple[str, ...] | None = None) -> World:
    """Run one seed; a fault's message contains it."""
    plan = Plan.of(seed, only)
    with small_world(plan):
        world = World(plan)
        try:
            world.run()
        except FaultError as fault:
            fault.add_note(f"{plan}, step {world.steps}, at {world.now}: {world.trace[-5:]}")
            raise
    return world
