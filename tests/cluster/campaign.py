"""Kills owners and their database under load, while viewers roam; the oracle judges the viewers.

``python -m tests.cluster.campaign --kills 50 --pauses 20 --engine-kills 10 --promotions 5
--viewers 40`` runs the whole of it, in about half an hour; ``--kills 0 --pauses 0 --engine-kills 0
--promotions 0 --outages 1 --set-backs 1`` lets the database be away for a minute, and restores a
backup of it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from statistics import quantiles
from typing import Any, Final, NamedTuple

from common.errors import GaplessError
from common.http import request
from forwarder.groups.leasing import LEASE_MS
from simulator.programs.postgres import ReplicatedServer
from tests.cluster import crash_points
from tests.support.cluster.roamers import Roamer
from tests.support.processes.gapless_processes import WAIT_S, GaplessProcess
from tests.support.processes.log_writer import Ledger, Load, now_ms
from tests.support.processes.moto_server import RawMoto, raw_moto

GROUP: Final = "/jobs/nightly"
STREAMS: Final = ("job/main/aaaa", "job/main/bbbb")
SERVERS: Final = ("one", "two")
OWNERS: Final = ("left", "right")
PAST_MS: Final = 60_000

GOAL_S: Final = LEASE_MS / 1_000 + 3
"""Goal of the time from a kill to the next mark."""

LOOK_S: Final = 0.05
SETTLE_S: Final = 1.5
"""Pause between two actions, in which the load goes on."""

ENGINE_DOWN_S: Final = 1.0
BEYOND_S: Final = 2.0
"""How long an owner is stopped beyond its lease."""


class Plan(NamedTuple):
    """How often to do what, for how long at most, and with how many viewers and events a second.

    Each viewer adds up all events for each mark: many more of them would keep one process busy.
    """

    kills: int = 50
    pauses: int = 20
    engine_kills: int = 10
    promotions: int = 5
    outages: int = 0
    away_s: int = 60
    set_backs: int = 0
    viewers: int = 40
    rate: int = 1
    seed: int = 1
    minutes: int = 60


class Found(NamedTuple):
    """What came of it: the oracle's counts, outcomes of reconnections, times in seconds."""

    accepted: int
    lost: int
    duplicated: int
    misordered: int
    outcomes: Counter[str]
    takeovers: list[float]
    resumptions: list[float]
    points: Counter[str]
    set_backs: int

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong; only a database that was set back excuses ``rebased``."""
        is_right = not (self.lost or self.duplicated or self.misordered)
        return is_right and set(self.outcomes) <= {"resumed", *["rebased"] * self.set_backs}

    def lines(self) -> list[str]:
        """The report."""
        count = sum(self.outcomes.values())
        share = self.outcomes["resumed"] / count if count else 1.0
        wrong = f"{self.lost} lost, {self.duplicated} duplicated, {self.misordered} misordered"
        wrong = f"{self.accepted} events: {wrong}"
        took = "time from the owner's end to the next mark"
        away = "time from the database's end to the next mark"
        return [
            f"{wrong}, by the sum over all viewers",
            f"{count} reconnections: {share:.1%} resumed, {dict(self.outcomes)}",
            f"{took}: {_spread(self.takeovers)} (goal: p99 at most {GOAL_S:.0f} s)",
            f"{away}: {_spread(self.resumptions)}",
            f"ends of owners: {dict(self.points)}",
        ]


def _spread(times_s: Sequence[float]) -> str:
    if len(times_s) < 2:
        return "none" if not times_s else f"{times_s[0]:.1f} s"
    cuts = quantiles(times_s, n=100, method="inclusive")
    return f"p50 {cuts[49]:.1f} s, p99 {cuts[98]:.1f} s, max {max(times_s):.1f} s, n {len(times_s)}"


class Campaign:
    """The processes of one run."""

    def __init__(self, plan: Plan, engine: ReplicatedServer, moto: RawMoto, folder: Path) -> None:
        self._plan = plan
        self._engine = engine
        self._moto = moto
        self._folder = folder
        self._rng = Random(plan.seed)
        self._owners: dict[str, GaplessProcess] = {}
        self._viewers: list[Roamer] = []
        self._takeovers: list[float] = []
        self._resumptions: list[float] = []
        self._points: Counter[str] = Counter()
        self._since = 0
        self._ledger = Ledger(moto, GROUP, STREAMS)

    async def run(self, say: Callable[[str], None]) -> Found:
        """Do what the plan says in a random order; return what came of it."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._ledger.close)
            stack.callback(self._stop_owners)
            servers = [stack.enter_context(self._start(one, "serve")) for one in SERVERS]
            for name in OWNERS:
                self._owners[name] = self._start(name, "ingest")
            load = stack.enter_context(Load(self._ledger, self._plan.rate))
            urls = [one.ready()["websocket"] for one in servers]
            await self._until(lambda: all(map(_is_ready, servers)), "ready servers")
            self._since = now_ms() - PAST_MS
            self._viewers = [
                Roamer(urls, self._since, first=at) for at in range(self._plan.viewers)
            ]
            await self._until(lambda: all(one.client.done for one in self._viewers), "history")
            ends_s = time.monotonic() + 60 * self._plan.minutes
            for number, act in enumerate(self._actions(), 1):
                if time.monotonic() > ends_s:
                    say(f"the time is over after {number - 1} actions")
                    break
                await asyncio.sleep(SETTLE_S + self._rng.random())
                await act()
                await self._roam()
                say(f"{number}: {act.__name__.strip('_')}, {len(self._ledger.accepted)} events")
            load.stop()
            return await self._judge()

    def _actions(self) -> list[Callable[[], Any]]:
        plan = self._plan
        actions: list[Callable[[], Any]] = [
            *[self._kill_owner] * plan.kills,
            *[self._pause_owner] * plan.pauses,
            *[self._kill_engine] * plan.engine_kills,
            *[self._promote] * plan.promotions,
            *[self._stay_away] * plan.outages,
            *[self._set_back] * plan.set_backs,
        ]
        self._rng.shuffle(actions)
        return actions

    # Actions

    async def _kill_owner(self) -> None:
        """Kill the owner at a crash point, or at a random moment."""
        name = await self._owner()
        process = self._owners[name]
        point = self._rng.choice([*crash_points.OWNERS, *crash_points.TAKERS, "random moment"])
        if point in crash_points.OWNERS:
            self._crash_file(name).write_text(point)
            await self._until(lambda: process.popen.poll() is not None, "the owner's end")
        else:
            await asyncio.sleep(self._rng.random())
            if point in crash_points.TAKERS:
                [other] = [one for one in OWNERS if one != name]
                self._crash_file(other).write_text(point)
                process.kill()
                self._restart(name)
                name, process = other, self._owners[other]
                # The restarted one may be faster to take over: nothing is to die then.
                await self._until(
                    lambda: process.popen.poll() is not None or self._is_owned(), "a takeover"
                )
                self._crash_file(other).unlink(missing_ok=True)
                if process.popen.poll() is None:
                    return
                self._points[point] += 1
            else:
                process.kill()
        self._points[point] += point not in crash_points.TAKERS
        died_s, died_ms = time.monotonic(), now_ms()
        self._restart(name)
        self._takeovers += await self._until_marked(died_s, died_ms)

    async def _pause_owner(self) -> None:
        """Stop the owner beyond its lease, and let it go on."""
        process = self._owners[await self._owner()]
        process.send(signal.SIGSTOP)
        died_s, died_ms = time.monotonic(), now_ms()
        try:
            self._takeovers += await self._until_marked(died_s, died_ms)
            await asyncio.sleep(max(0.0, died_s + GOAL_S - 3 + BEYOND_S - time.monotonic()))
        finally:
            process.send(signal.SIGCONT)
        self._points["stopped"] += 1

    async def _kill_engine(self) -> None:
        """Kill the database's primary, and start it again."""
        await asyncio.to_thread(self._engine.kill)
        died_s, died_ms = time.monotonic(), now_ms()
        await asyncio.sleep(ENGINE_DOWN_S)
        await asyncio.to_thread(self._engine.restart)
        self._resumptions += await self._until_marked(died_s, died_ms)

    async def _promote(self) -> None:
        """Kill the primary, and promote the standby; then it gets another."""
        died_s, died_ms = time.monotonic(), now_ms()
        await asyncio.to_thread(self._engine.fail_over)
        self._resumptions += await self._until_marked(died_s, died_ms)
        await asyncio.to_thread(self._engine.replace_standby)

    async def _stay_away(self) -> None:
        """Keep the database down for long: viewers have the history, and nothing is proved."""
        await asyncio.to_thread(self._engine.kill)
        died_s, died_ms = time.monotonic(), now_ms()
        # Nothing after this can be in the journal, and what is there reaches the servers soon.
        await asyncio.sleep(SETTLE_S)
        beats = {one: len(one.client.now.heartbeats) for one in self._viewers}
        while time.monotonic() < died_s + self._plan.away_s:
            for one in self._viewers:
                one.check()
                for mark in one.client.now.marks[-1:]:
                    assert mark["through"] <= died_ms, "a mark of what no journal has"
            await asyncio.sleep(LOOK_S)
        for one, count in beats.items():
            assert len(one.client.now.heartbeats) > count, "no heartbeats"
            assert one.client.now.heartbeats[-1]["upstream"]["state"] == "delayed"
        late = Roamer([self._viewers[0].client.url], self._since)
        held = len(self._viewers[0].client.messages())
        await self._until(lambda: len(late.client.messages()) >= held, "the history")
        assert not late.client.done, "CloudWatch may have more"
        await late.stop()
        await asyncio.to_thread(self._engine.restart)
        self._resumptions += await self._until_marked(time.monotonic(), now_ms())

    async def _set_back(self) -> None:
        """Restore an earlier state of the database: later cursors are of no use."""
        await asyncio.to_thread(self._engine.save)
        saved = len(self._ledger.accepted)
        await self._until(lambda: len(self._ledger.accepted) > saved, "more events")
        await self._until_marked(time.monotonic(), now_ms())
        known = {one: len(one.outcomes) for one in self._viewers}
        died_s = time.monotonic()
        await asyncio.to_thread(self._engine.set_back)
        await self._until(
            lambda: all("rebased" in one.outcomes[count:] for one, count in known.items()),
            "every viewer to start over",
        )
        self._resumptions += await self._until_marked(died_s, now_ms())

    async def _roam(self) -> None:
        """Cut a quarter of the viewers: each connects to the other server."""
        for one in self._rng.sample(self._viewers, -(-len(self._viewers) // 4)):
            one.check()
            await one.cut()

    # Processes

    def _start(self, name: str, role: str) -> GaplessProcess:
        return GaplessProcess(
            *("forward", GROUP, "--journal", self._engine.url, "--role", role, "--port", "0"),
            *("--views", str(self._folder / name), "--no-token", "--live", "poll"),
            *("--endpoint-url", self._moto.url, "--region", "us-east-1"),
            state=self._folder,
            program=("-m", "tests.cluster.crash_points", str(self._crash_file(name))),
        )

    def _crash_file(self, name: str) -> Path:
        return self._folder / f"{name}.crash"

    def _restart(self, name: str) -> None:
        self._owners[name].__exit__(None, None, None)
        self._owners[name] = self._start(name, "ingest")

    def _stop_owners(self) -> None:
        for one in self._owners.values():
            one.__exit__(None, None, None)

    def _find_owner(self) -> str | None:
        return next((name for name, one in self._owners.items() if _owns(one)), None)

    def _is_owned(self) -> bool:
        return self._find_owner() is not None

    async def _owner(self) -> str:
        found: list[str] = []

        def look() -> bool:
            # A process that was started just now may end again, without the database.
            for name, one in self._owners.items():
                if one.popen.poll() is not None:
                    self._restart(name)
            owner = self._find_owner()
            found[:] = [] if owner is None else [owner]
            return bool(found)

        await self._until(look, "an owner")
        return found[0]

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not await asyncio.to_thread(condition):
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            for one in self._viewers:
                one.check()
            await asyncio.sleep(LOOK_S)

    # Judging

    async def _until_marked(self, since_s: float, since_ms: int) -> list[float]:
        """Wait until each viewer has a mark that reaches beyond a moment; return the times."""
        waiting = list(self._viewers)
        times: list[float] = []
        deadline = time.monotonic() + WAIT_S
        while waiting:
            assert time.monotonic() < deadline, "waited in vain for marks"
            for one in tuple(waiting):
                one.check()
                marks = [mark for link in one.client.connections[-1:] for mark in link.marks[-1:]]
                if any(mark["through"] >= since_ms for mark in marks):
                    waiting.remove(one)
                    times.append(time.monotonic() - since_s)
            await asyncio.sleep(LOOK_S)
        return times

    async def _judge(self) -> Found:
        """Wait until marks prove everything for each viewer, then compare."""
        last = max(timestamp for _, timestamp, _ in self._ledger.accepted)
        await self._until(
            lambda: all((one.client.complete_through or -1) >= last for one in self._viewers),
            "marks of all that was written",
        )
        accepted = Counter(message for _, _, message in self._ledger.accepted)
        when = {message: timestamp for _, timestamp, message in self._ledger.accepted}
        lost = duplicated = misordered = 0
        for one in self._viewers:
            await one.stop()
            shown = one.client.messages()
            counted = Counter(shown)
            lost += (accepted - counted).total()
            duplicated += (counted - accepted).total()
            times = [when.get(message, 0) for message in shown]
            misordered += sum(later < first for first, later in itertools.pairwise(times))
        outcomes = Counter(outcome for one in self._viewers for outcome in one.outcomes[1:])
        return Found(
            *(len(self._ledger.accepted), lost, duplicated, misordered, outcomes),
            *(self._takeovers, self._resumptions, self._points, self._plan.set_backs),
        )


def _is_ready(process: GaplessProcess) -> bool:
    try:
        request(f"{process.ready()['http']}/readyz")
    except GaplessError:
        return False
    return True


def _owns(process: GaplessProcess) -> bool:
    """Whether a process reads the log group; one that is starting does not yet."""
    lines = process.out.so_far()
    if not lines or process.popen.poll() is not None:
        return False
    try:
        answer = request(f"{process.ready()['http']}/v1/forwarder", timeout_s=1.0)
    except GaplessError:
        return False
    return bool(answer["groups"])


async def run(plan: Plan, say: Callable[[str], None] = lambda _: None) -> Found:
    """Run a campaign with a database and a CloudWatch of its own."""
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    try:
        engine = ReplicatedServer(folder)
        try:
            engine.start()
            with raw_moto() as moto:
                return await Campaign(plan, engine, moto, folder).run(say)
        finally:
            engine.remove()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Run the campaign of the command line; the exit code is 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.campaign")
    for name, default in Plan()._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    plan = Plan(**vars(parser.parse_args()))

    def say(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    def end(*_: object) -> None:
        sys.exit(128 + signal.SIGTERM)

    # Else it would leave its processes behind.
    signal.signal(signal.SIGTERM, end)
    found = asyncio.run(run(plan, say))
    sys.stdout.write("\n".join(found.lines()) + "\n")
    return 0 if found.is_clean else 1


if __name__ == "__main__":
    raise SystemExit(main())
