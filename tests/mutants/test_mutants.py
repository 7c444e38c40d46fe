"""The oracle can fail: every broken forwarder and viewer is found out, and the product is not.

Each mutant is a real process in the cheapest situation that kills it; the product is beside the
broken viewers. Several runs go on at once, since most of each is waiting.
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
from tests.mutants.table import PRODUCT, as_markdown, is_as_it_should_be
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


def found_out(mutant: Mutant) -> Finding:
    """What was found of a broken forwarder."""
    kill = KILLS[mutant.name]
    for _ in range(TRIES.get(mutant.name, 1)):
        (finding,) = outcome(kill.situation, [mutant])
        if kill.kind in finding.found:
            break
    return finding


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(3))
def test_every_broken_forwarder_is_found_out(part: int) -> None:
    mutants = FORWARDERS[part::3]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for mutant, finding in zip(mutants, pool.map(found_out, mutants), strict=True):
            assert finding.found.get(KILLS[mutant.name].kind), f"{mutant}: {finding.told()}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "situations", [("late", "cut-off"), ("journal-lost", "strange-lines", "lossy")]
)
def test_every_broken_viewer_is_found_out_and_gapless_is_not(situations: tuple[str, ...]) -> None:
    def judge(situation: str) -> list[tuple[Mutant | None, Finding]]:
        mutants = [None, *(one for one in VIEWERS if KILLS[one.name].situation == situation)]
        return list(zip(mutants, outcome(situation, mutants), strict=True))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for pairs in pool.map(judge, situations):
            assert len(pairs) > 1
            for mutant, finding in pairs:
                if mutant is None:
                    assert finding.is_clean, f"gapless itself: {finding.told()}"
                else:
                    kind = KILLS[mutant.name].kind
                    assert finding.found.get(kind), f"{mutant}: {finding.told()}"


def test_every_mutant_has_a_situation_that_a_test_runs() -> None:
    assert list(KILLS) == list(MUTANTS)
    assert {KILLS[one.name].situation for one in FORWARDERS} <= SITUATIONS.keys()
    tested = {"late", "cut-off", "journal-lost", "strange-lines", "lossy"}
    assert {KILLS[one.name].situation for one in VIEWERS} == tested


def test_the_launcher_lists_what_it_can_break() -> None:
    launcher = [sys.executable, "-m", "tests.mutants"]
    listed = subprocess.run(launcher, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = dict(line.split(maxsplit=1) for line in listed.stdout.splitlines())
    assert list(rows) == list(MUTANTS)
    assert all(doc.endswith(".") for doc in rows.values())
    refused = subprocess.run([*launcher, "no-such"], cwd=ROOT, capture_output=True, check=False)
    assert refused.returncode == 2


def test_the_table_says_who_survives() -> None:
    clean, bad = Finding({}, 1.0), Finding({"lost": 1_234}, None)
    late = Finding({}, None)
    table = {"hides-holes": {"calm": bad, "late": clean}, PRODUCT: {"calm": clean, "late": clean}}
    assert as_markdown(table, ["calm", "late"]).splitlines() == [
        "| | calm | late |",
        "|---|---|---|",
        f"| {PRODUCT} | · | · |",
        "| hides-holes | lost 1,234, never converged | · |",
    ]
    assert all(is_as_it_should_be(name, row) for name, row in table.items())
    assert not is_as_it_should_be("hides-holes", {"calm": clean})
    assert not is_as_it_should_be(PRODUCT, {"calm": clean, "late": late})
