"""A small world of two owners, three servers and roaming viewers over one log, with faults.

Everything follows from a seed. Faults are those of an engine and its clients: lost requests and
answers, delayed appends, pauses beyond the lease, crashes, lost files, and an engine that is set
back to an earlier state. After each step, and at the end, the world checks what viewers rely on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

from forwarder.cluster import entries as coding
from forwarder.cluster import status as statuses
from forwarder.cluster.entries import BeginChain
from forwarder.cluster.log import EMPTY, Head, Lease, Unavailable, digest_of
from forwarder.cluster.replicated import ReplicatedJournal
from forwarder.cluster.status import Report, Status
from forwarder.cluster.view import ForkedError, View
from forwarder.errors import JournalError
from forwarder.records import LogEvent, ScanDone
from tests.support.cluster.memory_log import Fault, MemoryEngine

GROUP: Final = "/jobs/nightly"
TTL_MS: Final = 10_000
STEPS: Final = 60
FAULTS: Final[tuple[Fault, ...]] = ("refused", "lost_request", "lost_answer", "in_flight")


class BrokenPromiseError(Exception):
    """The world has found what must not be."""


class Rules:
    """The rules that a test may switch off, to show that the world notices."""

    takes_over: Callable[..., ReplicatedJournal] = staticmethod(ReplicatedJournal.take_over)
    checks_position = True
    catches_up_first = True
    checks_status = True
    checks_trims = True
    trims_newest_first = True
    trims_former_chains_only = True


class Owner:
    """A forwarder that may hold the lease and appends what it finds."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.log = world.engine.log(GROUP)
        self.view = world.open_view(name)
        self._name = name
        self.is_paused = False
        self.took_over_at = 0
        self.journal: ReplicatedJournal | None = None
        self._lease: Lease | None = None
        self._proved: list[ScanDone] = []

    def crash(self) -> None:
        """End without a word, and start again."""
        self.journal = self._lease = None
        self.view.close()
        self.view = self.world.open_view(self._name)

    def discard(self) -> None:
        """Give up the journal, and the lease if that can be done."""
        self.journal = None
        if self._lease is not None:
            with suppress(Unavailable):
                self.log.release(self._lease)
        self._lease = None

    def act(self, random: Random) -> None:
        """Do one thing that an owner does."""
        if self.journal is None:
            self._take_over()
            return
        work: list[Callable[[ReplicatedJournal, Random], None]] = [
            *[self._scan] * 6,
            *[self._renew] * 4,
            self._retire,
            self._restore,
            self._lose,
            self._end,
            self._begin_chain,
            *[self._trim] * 2,
        ]
        with suppress(JournalError):
            random.choice(work)(self.journal, random)
        if self.journal.failure is not None:
            self.discard()

    def _take_over(self) -> None:
        world = self.world
        try:
            lease = self.log.acquire(TTL_MS)
            if lease is None:
                return
            self._lease = lease
            self.took_over_at = next(world.order)
            self._proved.clear()
            self.journal = world.rules.takes_over(
                self.log,
                lease,
                self.view,
                timer=lambda: world.now_ms,
                random=lambda: 0.0,
                make_epoch=world.make_epoch,
            )
        except JournalError:
            self.discard()

    def scan(self, journal: ReplicatedJournal, from_: int, through: int) -> None:
        """Read a range of CloudWatch whole, append what is new, and cover the range."""
        seen = len(self.world.cloudwatch)
        found = [one for one in self.world.cloudwatch if from_ <= one.timestamp <= through]
        known = journal.find([one.id for one in found])
        journal.append([one for one in found if one.id not in known], "live")
        journal.cover(from_, through)
        self._proved.append(ScanDone(from_, through, seen, journal.head_seq))

    def _scan(self, journal: ReplicatedJournal, random: Random) -> None:
        end = self.world.now_ms
        self.scan(journal, random.choice([0, max(0, end - 5_000)]), end)

    def _renew(self, journal: ReplicatedJournal, _: Random) -> None:
        journal.renew(Report(proved=tuple(self._proved[-3:]), is_ready=True))

    def _retire(self, journal: ReplicatedJournal, random: Random) -> None:
        while journal.retire(before=random.randrange(self.world.now_ms + 1)):
            pass

    def _begin_chain(self, journal: ReplicatedJournal, _: Random) -> None:
        journal.begin_chain()
        self._proved.clear()

    def _trim(self, journal: ReplicatedJournal, random: Random) -> None:
        if not self.world.rules.trims_former_chains_only:
            journal._trim_below = self.view.position
        before = journal.trimmed
        journal.trim(random.choice([1, 3, 1_000]))
        self.world.trimmed += journal.trimmed - before

    def _restore(self, journal: ReplicatedJournal, _: Random) -> None:
        rows = journal.bodiless(0, self.world.now_ms, 3)
        journal.restore({row.id: f"line {row.id}" for row in rows})

    def _lose(self, journal: ReplicatedJournal, _: Random) -> None:
        rows = journal.bodiless(0, self.world.now_ms, 1)
        journal.mark_lost([row.id for row in rows], "gone")

    def _end(self, journal: ReplicatedJournal, random: Random) -> None:
        journal.put_ended("job/1", random.choice(["FAILED", None]), "rule")


class Server:
    """A forwarder that serves viewers from its view."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.log = world.engine.log(GROUP)
        self.view = world.open_view(name)

    def follow(self) -> None:
        """Apply what the log has, and adopt the status; the engine may be away."""
        with suppress(Unavailable):
            self._follow()

    def _follow(self) -> None:
        self.view.catch_up(self.log)
        self._adopt()

    def lag(self) -> None:
        """Read the status without having read the log, as a slow follower does."""
        with suppress(Unavailable):
            self._adopt()

    def _adopt(self) -> None:
        stored = self.log.status()
        if not stored.content:
            return
        status = statuses.decode(stored.content)
        try:
            is_valid = self.view.is_valid(status, stored.at)
        except ForkedError:
            self.view.rebuild()
            return
        if is_valid or not self.world.rules.checks_status:
            self.view.adopt(status)
            self._check_proofs(status)

    def _check_proofs(self, status: Status) -> None:
        """Check that the view has all events that the proved scans returned."""
        for done in status.report.proved:
            seen = self.world.cloudwatch[: done.scanned_at]
            ids = [one.id for one in seen if done.from_ <= one.timestamp <= done.through]
            missing = set(ids) - self.view.journal.find(ids).keys()
            if missing:
                msg = f"a mark of {done} without {sorted(missing)}"
                raise BrokenPromiseError(msg)

    def welcome(self, viewer: Viewer) -> None:
        """Evaluate a viewer's cursor, and send it what it needs."""
        if self.world.rules.catches_up_first:
            try:
                self._follow()
            except Unavailable:
                return
        if not self.view.position:
            return  # not ready: nobody has ever owned the journal
        journal = self.view.journal
        is_resumed = journal.is_resumable(viewer.epoch, viewer.after)
        if not is_resumed:
            if self.world.can_resume(viewer):
                msg = f"needlessly rebased: {viewer.epoch} after {viewer.after}"
                raise BrokenPromiseError(msg)
            viewer.rows.clear()
            viewer.after = 0
        rows = {row.seq: row.id for row in journal.read_after(0, 10**6)}
        held = {seq: rows.get(seq) for seq in range(1, viewer.after + 1)}
        if held != viewer.rows:
            msg = f"falsely resumed: has {viewer.rows}, must have {held}"
            raise BrokenPromiseError(msg)
        viewer.rows = rows
        viewer.epoch, viewer.after = journal.epoch, journal.head_seq


class Viewer:
    """A viewer with its cursor and the rows that it has, by seq."""

    def __init__(self) -> None:
        self.epoch, self.after = "", 0
        self.rows: dict[int, str] = {}


class World:
    """Two owners, three servers, four viewers."""

    def __init__(self, seed: int, folder: Path, rules: Rules | None = None) -> None:
        self.random = Random(seed)
        self.rules = rules or Rules()
        self.now_ms = 0
        self.engine = MemoryEngine(lambda: self.now_ms)
        self.engine.checks_position = self.rules.checks_position
        self.engine.checks_trims = self.rules.checks_trims
        self.engine.trims_newest_first = self.rules.trims_newest_first
        self.trimmed = 0
        """Entries that owners have removed from the log."""
        self._folder = folder
        self._names = count()
        self.order = count(1)
        """Numbers that order what happens."""
        self._set_back_at = 0
        self.cloudwatch: list[LogEvent] = []
        self.owners = [Owner(self, "owner-a"), Owner(self, "owner-b")]
        self.servers = [Server(self, f"server-{number}") for number in range(3)]
        self._clients: list[Owner | Server] = [*self.owners, *self.servers]
        self.viewers = [Viewer() for _ in range(4)]
        self._referee = self.open_view("referee")
        self._states = [self.engine.state()]
        self._checked = EMPTY

    def open_view(self, name: str) -> View:
        """Open a view's file."""
        return View(self._folder / name, GROUP, boot="boot")

    def make_epoch(self) -> str:
        """A name that no epoch ever had."""
        return f"epoch {next(self._names)}"

    def close(self) -> None:
        """Close all files."""
        for one in self._clients:
            one.view.close()
        self._referee.close()

    def can_resume(self, viewer: Viewer) -> bool:
        """Whether the log as it is now has the viewer's cursor."""
        self._referee.catch_up(self.engine.log(GROUP))
        return self._referee.journal.is_resumable(viewer.epoch, viewer.after)

    def run(self) -> None:
        """Run all steps, then heal everything and compare.

        Raises:
            BrokenPromiseError: Something was lost, doubled, forked, or falsely resumed.
        """
        for _ in range(STEPS):
            self.random.choice(_STEPS)(self)
            self._check_log()
        self._heal()

    def write(self) -> None:
        """CloudWatch accepts events, some of them late."""
        for _ in range(self.random.randrange(1, 5)):
            number = len(self.cloudwatch)
            late_ms = self.random.choice([0, 0, 0, 3_000])
            timestamp = max(0, self.now_ms - late_ms)
            self.cloudwatch.append(
                LogEvent(str(number), timestamp, None, "job/1", f"line {number}")
            )

    def wait(self) -> None:
        """Time passes."""
        self.now_ms += self.random.choice([100, 1_000, 4_000])

    def own(self) -> None:
        """An owner works, unless it is paused."""
        owner = self.random.choice(self.owners)
        if not owner.is_paused:
            owner.act(self.random)
            self._check_owner(owner)

    def pause(self) -> None:
        """An owner stops, perhaps beyond its lease, or goes on as if nothing had happened."""
        owner = self.random.choice(self.owners)
        owner.is_paused = not owner.is_paused

    def crash(self) -> None:
        """An owner ends; its file stays, or is lost."""
        owner = self.random.choice(self.owners)
        owner.crash()
        if self.random.random() < 0.3:
            owner.view.rebuild()

    def fail(self) -> None:
        """One of the next appends of an owner fails."""
        self.random.choice(self.owners).log.faults.append(self.random.choice(FAULTS))

    def cut(self) -> None:
        """A client loses the engine, or finds it again."""
        client = self.random.choice(self._clients)
        client.log.is_down = not client.log.is_down

    def deliver(self) -> None:
        """Delayed appends arrive."""
        self.engine.deliver()

    def save(self) -> None:
        """The engine is backed up."""
        self._states.append(self.engine.state())

    def set_back(self) -> None:
        """The engine is restored from a backup."""
        self.engine.set_back(self.random.choice(self._states))
        self._checked = EMPTY
        self._set_back_at = next(self.order)

    def follow(self) -> None:
        """A server follows the log."""
        self.random.choice(self.servers).follow()

    def lag(self) -> None:
        """A server reads a status before the rows that it speaks of."""
        self.random.choice(self.servers).lag()

    def lose_view(self) -> None:
        """A server loses its file, or another one is started."""
        self.random.choice(self.servers).view.rebuild()

    def roam(self) -> None:
        """A viewer connects to any server."""
        self.random.choice(self.servers).welcome(self.random.choice(self.viewers))

    def _check_owner(self, owner: Owner) -> None:
        """Check that the owner reads nothing that the log does not have."""
        if owner.journal is None or owner.took_over_at < self._set_back_at:
            return
        head = owner.view.head
        entries = self.engine.log(GROUP).read(head.position - 1, 1)
        if not entries or Head(entries[0].position, digest_of(entries[0].index)) != head:
            msg = "an owner's view is ahead of the log"
            raise BrokenPromiseError(msg)

    def _check_log(self) -> None:
        """Check that each entry follows the one before, or begins a chain after a trimmed one."""
        last = self._checked
        for entry in self.engine.log(GROUP).read(max(0, last.position - 1), 10**6):
            previous, change = coding.decode(entry.index)
            follows = Head(entry.position - 1, previous) == last
            is_same = Head(entry.position, digest_of(entry.index)) == last
            if not (follows or is_same or isinstance(change, BeginChain)):
                msg = f"entry {entry.position} does not follow the one before"
                raise BrokenPromiseError(msg)
            last = Head(entry.position, digest_of(entry.index))
        self._checked = last

    def _heal(self) -> None:
        """End all faults, let one owner take over, and compare all that anybody has."""
        self.engine.deliver()
        for one in self._clients:
            one.log.is_down = False
            one.log.faults.clear()
        self.now_ms += 2 * TTL_MS
        owner, other = self.owners
        owner.discard()
        owner.act(self.random)
        if owner.journal is None:
            msg = "nobody can take over"
            raise BrokenPromiseError(msg)
        # The other may still believe that it owns the journal.
        other.act(self.random)
        covered = owner.journal.coverage()
        start = 0 if not covered or self.random.random() < 0.5 else covered[-1][1]
        owner.scan(owner.journal, min(start, self.now_ms - 2 * TTL_MS - 4_000), self.now_ms)
        owner.scan(owner.journal, 0, self.now_ms)
        owner.journal.renew(Report())
        self._check_log()
        everything = sorted(one.id for one in self.cloudwatch)
        self.lose_view()
        for server in self.servers:
            server.follow()
            rows = server.view.journal.read_after(0, 10**6)
            if sorted(row.id for row in rows) != everything:
                msg = "rows are lost or doubled"
                raise BrokenPromiseError(msg)
            if rows != owner.journal.read_after(0, 10**6):
                msg = "a server has other rows than the owner"
                raise BrokenPromiseError(msg)
        for viewer in self.viewers:
            self.servers[0].welcome(viewer)
            if sorted(viewer.rows.values()) != everything:
                msg = "a viewer has lost or doubled rows"
                raise BrokenPromiseError(msg)


_STEPS: Final[tuple[Callable[[World], None], ...]] = (
    *[World.write] * 4,
    *[World.wait] * 4,
    *[World.own] * 16,
    *[World.follow] * 3,
    *[World.roam] * 5,
    *[World.lag] * 2,
    World.pause,
    World.crash,
    World.lose_view,
    World.fail,
    World.fail,
    World.cut,
    World.deliver,
    World.save,
    World.set_back,
)
