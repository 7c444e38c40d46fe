"""``make mutants``: runs every mutant in every situation and prints the faults found.

Prints a Markdown table; exits with 1 if a mutant is never detected or the product has a fault.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.kills import KILLS, TRIES
from tests.mutants.rig import Finding, Subject, run
from tests.mutants.situations import PLAYED, SITUATIONS, Situation

PRODUCT: Final = "gapless itself"

Row = dict[str, Finding]
"""Findings by situation name."""


def main() -> int:
    """Run the selected mutants and situations and print the table."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("--only", nargs="*", default=list(MUTANTS), metavar="MUTANT")
    parser.add_argument("--in", dest="situations", nargs="*", metavar="SITUATION")
    parser.add_argument("--scenarios", action="store_true", help="add scenarios of the simulator")
    parser.add_argument("--jobs", type=int, default=3, help="parallel runs")
    given = parser.parse_args()
    situations = [*SITUATIONS.values(), *(PLAYED if given.scenarios else ())]
    if given.situations:
        situations = [one for one in situations if one.name in given.situations]
    mutants = [MUTANTS[name] for name in given.only]
    forwarders: list[Mutant | None] = [one for one in mutants if one.part == "forwarder"]
    viewers: list[Mutant | None] = [None, *(one for one in mutants if one.part == "viewer")]
    jobs: list[tuple[Situation, list[Mutant | None]]] = []
    for situation in situations:
        jobs += [(situation, viewers)]
        jobs += [(situation, [one]) for one in forwarders]
    table: dict[str, Row] = {}
    with ThreadPoolExecutor(given.jobs) as pool:
        for (situation, programs), findings in zip(
            jobs, pool.map(lambda job: _run(*job), jobs), strict=True
        ):
            for program, finding in zip(programs, findings, strict=True):
                name = PRODUCT if program is None else program.name
                table.setdefault(name, {})[situation.name] = finding
                sys.stderr.write(f"{situation.name}: {name}: {finding.summary()}\n")
    sys.stdout.write(as_markdown(table, [one.name for one in situations]))
    wrong = [name for name, row in table.items() if not is_expected(name, row)]
    for name in wrong:
        sys.stderr.write(f"{name}: {'not detected' if name in MUTANTS else 'has faults'}\n")
    return 1 if wrong else 0


def _run(situation: Situation, programs: Sequence[Mutant | None]) -> list[Finding]:
    tries = 1
    for one in programs:
        if one is not None and KILLS[one.name].situation == situation.name:
            tries = max(tries, TRIES.get(one.name, 1))
    for _ in range(tries):
        findings = run(situation, [Subject(one) for one in programs])
        if not all(one.is_clean for one in findings):
            break
    return findings


def is_expected(name: str, row: Row) -> bool:
    """Whether a mutant was detected in some situation, or the product was clean in all."""
    is_clean = all(one.is_clean for one in row.values())
    return is_clean if name == PRODUCT else not is_clean


def as_markdown(table: dict[str, Row], situations: Sequence[str]) -> str:
    """A table with a row per program, a column per situation, and a dot for no faults."""
    lines = [
        f"| | {' | '.join(situations)} |",
        f"|---|{'---|' * len(situations)}",
    ]
    for name in sorted(
        table, key=lambda one: (one != PRODUCT, list(MUTANTS).index(one) if one in MUTANTS else 0)
    ):
        cells = [
            "·" if one.is_clean else one.summary() for one in (table[name][at] for at in situations)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
