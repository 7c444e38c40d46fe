"""Tests the oracle: it detects every broken forwarder and viewer, and no fault in the product.

Each mutant runs as a process in the cheapest situation that detects it; the product runs beside
the broken viewers. Several runs are parallel, as they mostly wait.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.kills import KILLS, TRIES
from tests.mutants.rig import Finding, Subject, run
from tests.mutants.situations import SITUATIONS
from tests.mutants.table import PRODUCT, as_markdown, is_expected
from tests.support.processes.gapless_processes import WAIT_S

ROOT = Path(__file__).parents[2]
AT_ONCE = 3
FORWARDERS = [one for one in MUTANTS.values() if one.part == "forwarder"]
VIEWERS = [one for one in MUTANTS.values() if one.part == "viewer"]


def subject(mutant: Mutant | None) -> Subject:
    wanted = () if mutant is None else (KILLS[mutant.name].kind,)
    return Subject(mutant, frozenset(wanted))


def outcome(situation: str, mutants: Sequence[Mutant | None]) -> list[Finding]:
    return run(SITUATIONS[situation], [subject(one) for one in mutants], WAIT_S)


def detect(mutant: Mutant) -> Finding:
    """Run a broken forwarder until it is detected, or out of attempts; returns the finding."""
    kill = KILLS[mutant.name]
    for _ in range(TRIES.get(mutant.name, 1)):
        (finding,) = outcome(kill.situation, [mutant])
        if kill.kind in finding.found:
            break
    return finding


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(3))
def test_every_broken_forwarder_is_detected(part: int) -> None:
    mutants = FORWARDERS[part::3]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for mutant, finding in zip(mutants, pool.map(detect, mutants), strict=True):
            assert finding.found.get(KILLS[mutant.name].kind), f"{mutant}: {finding.summary()}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "situations", [("late", "cut-off"), ("journal-lost", "strange-lines", "lossy")]
)
def test_every_broken_viewer_is_detected_and_gapless_is_clean(situations: tuple[str, ...]) -> None:
    def judge(situation: str) -> list[tuple[Mutant | None, Finding]]:
        mutants = [None, *(one for one in VIEWERS if KILLS[one.name].situation == situation)]
        return list(zip(mutants, outcome(situation, mutants), strict=True))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for pairs in pool.map(judge, situations):
            assert len(pairs) > 1
            for mutant, finding in pairs:
                if mutant is None:
                    assert finding.is_clean, f"gapless itself: {finding.summary()}"
                else:
                    kind = KILLS[mutant.name].kind
                    assert finding.found.get(kind), f"{mutant}: {finding.summary()}"


def test_every_mutant_has_a_situation_that_a_test_runs() -> None:
    assert list(KILLS) == list(MUTANTS)
    assert {KILLS[one.name].situation for one in FORWARDERS} <= SITUATIONS.keys()
    tested = {"late", "cut-off", "journal-lost", "strange-lines", "lossy"}
    assert {KILLS[one.name].situation for one in VIEWERS} == tested


def test_the_launcher_lists_all_mutants() -> None:
    launcher = [sys.executable, "-m", "tests.mutants"]
    listed = subprocess.run(launcher, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = dict(line.split(maxsplit=1) for line in listed.stdout.splitlines())
    assert list(rows) == list(MUTANTS)
    assert all(doc.endswith(".") for doc in rows.values())
    refused = subprocess.run([*launcher, "no-such"], cwd=ROOT, capture_output=True, check=False)
    assert refused.returncode == 2


def test_the_table_shows_undetected_mutants() -> None:
    clean, bad = Finding({}, 1.0), Finding({"lost": 1_234}, None)
    late = Finding({}, None)
    table = {"hides-holes": {"calm": bad, "late": clean}, PRODUCT: {"calm": clean, "late": clean}}
    assert as_markdown(table, ["calm", "late"]).splitlines() == [
        "| | calm | late |",
        "|---|---|---|",
        f"| {PRODUCT} | · | · |",
        "| hides-holes | lost 1,234, never converged | · |",
    ]
    assert all(is_expected(name, row) for name, row in table.items())
    assert not is_expected("hides-holes", {"calm": clean})
    assert not is_expected(PRODUCT, {"calm": clean, "late": late})
