from __future__ import annotations

import msgspec
import pytest

from gapless.rehearsal.result import RehearsalResult, as_json, is_met, line
from gapless.rehearsal.viewer import Usage
from wire.record import Mark

VERDICT = {"clean": True, "shown": 5, "marks": 2, "pending": 0, "expired": 0, "lost": 0}
STEPS = [
    {
        "at_ms": 5,
        "action": "inject",
        "fault": {"type": "close", "name": "a", "toxicity": 0.5, "attributes": {"code": 4001}},
    },
    {"at_ms": 9, "action": "heal", "name": ""},
]
CLEAN = RehearsalResult(
    scenario="storm",
    seed=7,
    speed=10,
    version="1.2",
    ok=True,
    verdict=VERDICT,
    converged_ms=2_500,
    bound_ms=9_000,
    forwarder=Usage(1.25, 3 << 20),
    viewer=Usage(0.5, 1 << 20),
    marks=[Mark(from_=1, through=8, scanned_at=9, count=5, digest="abc")],
    steps=STEPS,
)


def failed(**changes: object) -> RehearsalResult:
    return msgspec.structs.replace(CLEAN, ok=False, **changes)


def test_a_clean_run_in_a_line() -> None:
    text = line(CLEAN)
    assert text.startswith("clean  storm")
    assert "5 events, 2 marks; converged in 2.5 s" in text
    assert text.endswith("forwarder 3.0 MiB 1.2 s CPU, viewer 1.0 MiB 0.5 s CPU")


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (failed(error="the forwarder ended"), "the forwarder ended"),
        (failed(unsafe=["1 misordered"]), "1 misordered"),
        (failed(verdict={**VERDICT, "lost": 2, "undeclared": 1}), "2 lost; 1 undeclared"),
        (failed(converged_ms=None), "not converged within 9 s"),
        (failed(), "the verdict is not the one that the scenario expects"),
    ],
)
def test_a_failed_run_says_what_is_wrong(result: RehearsalResult, said: str) -> None:
    text = line(result)
    assert text.startswith("FAILED storm")
    assert said in text


def test_the_line_that_replays() -> None:
    assert CLEAN.replay == "gapless scenario run storm --seed 7 --speed 10"
    slow = msgspec.structs.replace(CLEAN, speed=1.0)
    assert slow.replay == "gapless scenario run storm --seed 7"
    assert as_json(slow)["replay"] == slow.replay
    mine = msgspec.structs.replace(slow, file="my dir/x.toml")
    assert mine.replay == "gapless scenario run 'my dir/x.toml' --seed 7"


def test_what_a_scenario_expects() -> None:
    assert is_met("clean", VERDICT)
    assert not is_met("declared", VERDICT), "nothing was taken, so nothing was declared"
    assert is_met("declared", {**VERDICT, "expired": 1})
    assert not is_met("clean", {**VERDICT, "pending": 1})
    assert not is_met("clean", {**VERDICT, "clean": False})
    assert not is_met("clean", {})
    declared = {**VERDICT, "clean": False, "honest": True, "lost": 3}
    assert is_met("clean", declared, lost=3)
    assert not is_met("clean", declared, lost=2)
    assert not is_met("clean", {**declared, "honest": False}, lost=3)
