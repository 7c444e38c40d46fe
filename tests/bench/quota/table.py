"""``make bench ARGS=quota``: lag, marks and calls of an account that refuses further calls."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.bench.goals import Goal

ROOT: Final = Path(__file__).parents[3]
CELL: Final = Path(__file__).with_name("cell.py")
QUOTAS: Final = (5, 10, 25)
GROUPS: Final = (1, 20, 100)
RATES: Final = (0, 3, 500, 5_000)
LINES_MAX: Final = 10_000
"""Lines a second in all, beyond which a cell is skipped: one core decodes and stores no more beside
the rescans, and 5 calls a second hold 50,000 events, most of which a poll reads again."""
CELL_S: Final = 400
"""Longest run of a cell; it then has no figures."""


class Cell(NamedTuple):
    """A row of the table."""

    groups: int
    rate: int
    quota: int
    is_whole: bool
    """Whether the forwarder may use the whole quota, else the default half."""

    @property
    def name(self) -> str:
        """The name by which ``--cells`` selects it."""
        return f"{self.groups}x{self.rate}@{self.quota}{'' if self.is_whole else '/2'}"

    @property
    def is_too_much(self) -> bool:
        """Whether it exceeds the machine."""
        return self.groups * self.rate > LINES_MAX


QUICK: Final = (
    Cell(1, 0, 5, is_whole=False),
    Cell(1, 5_000, 5, is_whole=True),
    Cell(20, 3, 5, is_whole=True),
    Cell(20, 3, 5, is_whole=False),
    Cell(100, 0, 5, is_whole=False),
    Cell(100, 0, 25, is_whole=False),
)
ALL: Final = tuple(
    Cell(groups, rate, quota, is_whole)
    for quota in QUOTAS
    for groups in GROUPS
    for rate in RATES
    for is_whole in (True, False)
)

GOALS: Final[dict[str, dict[str, Goal]]] = {
    "20x3@5": {
        "lag p50": Goal(2_500, "ms"),
        "lag p99": Goal(6_000, "ms"),
        "age p99": Goal(15_000, "ms"),
    },
    "20x3@5/2": {
        "lag p50": Goal(5_000, "ms"),
        "lag p99": Goal(10_000, "ms"),
        "age p99": Goal(25_000, "ms"),
        "refused": Goal(0, "calls"),
    },
    "1x5000@5": {"lag p99": Goal(2_500, "ms")},
    "1x0@5/2": {"calls": Goal(20, "a minute"), "lag p99": Goal(5_000, "ms")},
    "100x0@25/2": {"calls": Goal(750, "a minute")},
    "100x0@5/2": {"calls": Goal(150, "a minute")},
}


def report(say: Callable[[str], None], names: list[str], seconds: float) -> None:
    """Print the table: this tree beside the commit before its HEAD.

    Args:
        say: prints a line.
        names: cells to run: names such as ``20x3@5/2``, or ``all``; none: a quick choice.
        seconds: time of a busy cell that counts, in virtual seconds.
    """
    known = {cell.name: cell for cell in ALL}
    if unknown := [name for name in names if name != "all" and name not in known]:
        say(f"no such cell: {', '.join(unknown)}; GROUPSxRATE@QUOTA, with /2 for half of the quota")
        return
    cells = ALL if "all" in names else [known[one] for one in names] or QUICK
    skipped = [cell.name for cell in cells if cell.is_too_much]
    say("in virtual time, on a model of CloudWatch that refuses calls beyond the quota")
    say(
        f"{'groups':>6} {'lines/s':>7} {'quota':>5} {'uses':>5} {'tree':>6}"
        f" {'lag p50':>8} {'p99 ms':>7}"
        f" {'mark age p50':>13} {'p99 ms':>7} {'calls/min':>9} {'refused':>7} {'1st min':>7}"
    )
    with tree_before() as before:
        for cell in cells:
            if cell.is_too_much:
                continue
            for label, tree in (("before", before), ("now", ROOT)):
                found = measure(cell, tree, seconds) if tree is not None else None
                say(_row(cell, label, found))
                if label == "now" and found is not None:
                    for what, goal in GOALS.get(cell.name, {}).items():
                        say(f"{'':>27}{what}: {goal.judged(_figure(found, what))}")
    if skipped:
        say(f"skipped, more than {LINES_MAX:,} lines/s in all: {', '.join(skipped)}")


def measure(cell: Cell, tree: Path, seconds: float) -> dict[str, Any] | None:
    """Run a cell with the forwarder of a tree; None if it takes too long."""
    asked = {
        "groups": cell.groups,
        "rate": cell.rate,
        "quota": cell.quota,
        "calls_per_second": float(cell.quota) if cell.is_whole else None,
        # An idle log group is measured after ten quiet minutes.
        "seconds": seconds if cell.rate else 300,
        "warm_s": 0 if cell.rate else 600,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(CELL), json.dumps(asked)],
            env={**os.environ, "PYTHONPATH": str(tree)},
            cwd=tree,
            capture_output=True,
            text=True,
            timeout=CELL_S,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return None
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def tree_before() -> Iterator[Path | None]:
    """The tree of ``BENCH_BEFORE``, by default the commit before HEAD; None outside a checkout."""
    commit = os.environ.get("BENCH_BEFORE", "HEAD~1")
    archive = subprocess.run(
        ["git", "archive", commit, "forwarder", "common", "wire"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(folder, filter="data")
        yield Path(folder)


def _figure(found: dict[str, Any], what: str) -> float:
    name, _, percent = what.partition(" ")
    value = found[name]
    return float(value[percent == "p99"] if percent else value)


def _row(cell: Cell, label: str, found: dict[str, Any] | None) -> str:
    head = (
        f"{cell.groups:>6} {cell.rate:>7,} {cell.quota:>5}"
        f" {'whole' if cell.is_whole else 'half':>5} {label:>6}"
    )
    if found is None:
        return f"{head}  no figures: it takes too long, or there is no such commit"
    lag, age = (
        [f"{one:,}" if one is not None else "-" for one in found[it]] for it in ("lag", "age")
    )
    return (
        f"{head} {lag[0]:>8} {lag[1]:>7} {age[0]:>13} {age[1]:>7} {found['calls']:>9,.0f}"
        f" {found['refused']:>7} {found['early']:>7}"
    )
