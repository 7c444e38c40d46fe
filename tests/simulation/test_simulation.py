"""2,000 runs by seed: nothing lost, nothing doubled, nothing falsely green, and then at rest.

A run that fails says its seed; ``python -m tests.simulation SEED`` plays it again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable

import pytest

from common.ranges import Range
from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.retention import Expiry
from tests.simulation.ablations import a_lying_forwarder, repairs_without_end
from tests.simulation.judge import FaultError
from tests.simulation.plan import Plan, small_world
from tests.simulation.world import World, run

RUNS = 2_000
CHUNK = 100


@pytest.mark.parametrize("first", range(0, RUNS, CHUNK))
def test_nothing_is_lost_doubled_or_falsely_green(first: int) -> None:
    seen: Counter[str] = Counter()
    lines = marks = 0
    for seed in range(first, first + CHUNK):
        world = run(seed)
        seen += world.seen
        marks += world.judge.marks
        lines += sum(len(viewer.good) for viewer in world.viewers)
    # A system that shows nothing, or a chaos in which nothing happens, must not pass.
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
def test_the_rare_things_happen_too(troubles: tuple[str, ...], what: str) -> None:
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
def test_what_retention_took_before_it_was_seen_is_said_to_be_gone(
    troubles: tuple[str, ...],
) -> None:
    unrecoverable = 0
    for seed in range(40):
        world = run(seed, troubles)
        unrecoverable += sum(gap.state == "unrecoverable" for gap in world.journal.gaps())
    assert unrecoverable > 10


def test_expiry_that_is_not_declared_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Expiry, "due", lambda _self: [])

    def some_runs() -> None:
        for seed in range(60):
            run(seed, ("expiry", "restart", "cut"))

    with pytest.raises(FaultError, match="expired unseen"):
        some_runs()


def test_a_retention_made_shorter_that_is_not_asked_for_in_time_is_found(
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
    """By what was known before: as if the setting could not have been made shorter since."""
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
    """How often over a viewer of a forwarder that always lies has its range sent again."""
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


def test_a_forwarder_that_lies_is_not_asked_for_ever() -> None:
    assert 0 < repaired(without_end=False) < 1.5
    assert repaired(without_end=True) > 2
