"""1,000 seeded runs: no event lost or duplicated, no false verification, and convergence.

A failing run reports its seed; ``python -m tests.simulation SEED`` repeats it, and
``python -m tests.simulation --seeds 5000`` runs more of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from common.ranges import Range
from forwarder.ingest.alterations import has_first_text
from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.retention import Expiry
from forwarder.records import GapRecord
from tests.simulation.ablations import a_lying_forwarder, repairs_without_end
from tests.simulation.judge import FaultError
from tests.simulation.lies import LIES
from tests.simulation.plan import Plan, small_world
from tests.simulation.world import World, run

RUNS = 1_000
CHUNK = 100
SOON_MS = 30_000
"""Time after healing in which scans read every range of a run again; shorter than ``AHEAD_MS``."""


@pytest.mark.parametrize("first", range(0, RUNS, CHUNK))
def test_no_event_is_lost_duplicated_or_falsely_verified(first: int) -> None:
    seen: Counter[str] = Counter()
    lines = marks = 0
    for seed in range(first, first + CHUNK):
        world = run(seed)
        seen += world.seen
        marks += world.judge.marks
        lines += sum(len(viewer.good) for viewer in world.viewers)
    # Guards against runs in which nothing is shown or nothing happens.
    assert lines > 50 * CHUNK
    assert marks > 10 * CHUNK
    for what in ("fresh", "resumed", "rebased", "Gap", "End"):
        assert seen[what] > 0, f"no {what} in {CHUNK} runs"


@pytest.mark.parametrize(
    ("troubles", "what"),
    [
        (("retention", "stream deleted", "cut", "refilter"), "lost"),
        (("bit rot",), "DigestReply"),
        (("log group recreated",), "Bye"),
    ],
)
def test_rare_messages_occur(troubles: tuple[str, ...], what: str) -> None:
    seen: Counter[str] = Counter()
    for seed in range(60):
        seen += run(seed, troubles).seen
    assert seen[what] > 0


@pytest.mark.parametrize(
    "troubles",
    [
        ("expiry",),
        ("expiry", "restart", "cut"),
        ("expiry", "late", "flap", "break off"),
        ("shorten", "cut"),
        ("shorten", "late", "restart", "break off"),
    ],
)
def test_events_expired_before_a_scan_are_declared(
    troubles: tuple[str, ...],
) -> None:
    unrecoverable = 0
    for seed in range(40):
        world = run(seed, troubles)
        unrecoverable += sum(gap.state == "unrecoverable" for gap in world.journal.gaps())
    assert unrecoverable > 10


@pytest.mark.parametrize(
    "troubles",
    [
        ("altered", "late", "flap", "break off"),
        ("altered", "cut", "restart"),
        ("altered", "retention", "viewer crash"),
        ("altered", "blocked", "stream deleted", "refilter"),
        ("altered", "journal lost", "rollback", "log group recreated"),
        ("altered", "shorten"),
    ],
)
def test_no_mark_covers_an_altered_event_silently(troubles: tuple[str, ...]) -> None:
    seen: Counter[str] = Counter()
    for seed in range(40):
        seen += run(seed, troubles).seen
    assert seen["Altered"] > 10


@pytest.mark.parametrize(
    "troubles",
    [
        ("other time",),
        ("other stream", "cut", "late"),
        ("two streams", "bursts", "restart"),
        ("scrambled", "pages swapped", "token refused", "bursts"),
        ("unreadable", "viewer crash", "cut"),
        ("other time", "two streams", "retention", "viewer crash"),
        ("other time", "other stream", "log group recreated", "late"),
        LIES,
    ],
)
def test_inconsistent_answers_lose_nothing(troubles: tuple[str, ...]) -> None:
    told = 0
    for seed in range(25):
        world = run(seed, troubles)
        assert world.lies is not None
        told += world.lies.told
        if "log group recreated" not in troubles:
            assert world.seen["Bye"] == 0
    assert told > 25


@pytest.mark.parametrize("seed", [11, 12])
def test_an_execution_does_not_end_while_events_in_its_range_are_held_back(seed: int) -> None:
    assert run(seed, ("ahead", "other time", "two streams")).seen["End"] > 0


@pytest.mark.parametrize(
    "troubles",
    [
        ("ahead",),
        ("ahead", "late", "restart"),
        ("ahead", "other time"),
        ("ahead", "altered", "restart"),
    ],
)
def test_gaps_that_reach_ahead_of_the_clock_are_repaired_before_it_gets_there(
    troubles: tuple[str, ...],
) -> None:
    ahead = 0
    for seed in range(25):
        plan = Plan.of(seed, troubles)
        with small_world(plan):
            world = World(plan)
            world.chaos()
            world.heal()
            ahead += len(_ahead(world))
            healed_at = world.now
            _return_first_texts(world)
            while world.now < healed_at + SOON_MS:
                world.step()
            left = _ahead(world)
        assert not left, (seed, left)
    assert ahead > 2


def _return_first_texts(world: World) -> None:
    """Let CloudWatch return the texts that the journal holds from now on."""
    for stored in world.cloudwatch.stored:
        row = world.journal.find([stored.event.id]).get(stored.event.id)
        now = replace(stored.event, message=stored.text_at(world.now))
        if row is not None and not has_first_text(now, row):
            stored.masked.append(world.now)


def _ahead(world: World) -> list[GapRecord]:
    """The gaps that reach ahead of the clock."""
    return [gap for gap in world.journal.gaps() if gap.through > world.now]


def test_undeclared_expiry_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Expiry, "due", lambda _self: [])

    def some_runs() -> None:
        for seed in range(60):
            run(seed, ("expiry", "restart", "cut"))

    with pytest.raises(FaultError, match="expired unseen"):
        some_runs()


def test_a_shortened_retention_that_is_read_too_late_is_detected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LogGroup, "is_first_old_scan", lambda *_: False)
    monkeypatch.setattr(Expiry, "add_first_scans", _as_if_settled)

    def some_runs() -> None:
        for seed in range(60):
            run(seed, ("shorten", "late", "restart", "break off"))

    with pytest.raises(FaultError, match="expired unseen"):
        some_runs()


_add_first_scans = Expiry.add_first_scans


def _as_if_settled(
    self: Expiry, pieces: Iterable[Range], ended_ms: int, oldest_ms: int | None, **_: bool
) -> None:
    """Assume that the retention setting was not shortened meanwhile."""
    _add_first_scans(self, pieces, ended_ms, oldest_ms, is_settled=True)


REPLAY = """
import sys
from tests.simulation.world import run
for seed in range(3):
    print(run(seed).fingerprint())
"""


def test_a_seed_is_the_same_run_in_every_process() -> None:
    prints = {
        subprocess.run(
            [sys.executable, "-c", REPLAY],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(prints) == 1
    assert b"line" in prints.pop()


def repaired(*, without_end: bool) -> float:
    """Repaired time of a viewer with a lying forwarder, as a multiple of its range."""
    plan = Plan.of(4, ("cut",))
    patches = [a_lying_forwarder(), *(repairs_without_end() if without_end else [])]
    with small_world(plan):
        for one in patches:
            one.start()
        try:
            world = World(plan)
            world.chaos()
            world.heal()
            world.chaos(60)
        finally:
            for one in patches:
                one.stop()
    return max(
        viewer.repaired_ms / (world.now - (viewer.session.since or 0)) for viewer in world.viewers
    )


def test_repairs_of_a_lying_forwarder_are_bounded() -> None:
    assert 0 < repaired(without_end=False) < 1.5
    assert repaired(without_end=True) > 2
