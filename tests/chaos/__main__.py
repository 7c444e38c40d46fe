"""Runs the screen through random faults and keys, seed by seed: ``python -m tests.chaos``.

A failure is printed with its seed. The seed repeats the same gestures and faults, though not their
exact timing.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import traceback
from pathlib import Path

from tests.chaos.rig import Rig, Variant


def main() -> int:
    """Run the given seeds; returns 1 if any failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--speed", type=float, default=4)
    parser.add_argument("--small", action="store_true", help="memory for fewer lines than arrive")
    parser.add_argument("--two", action="store_true", help="two targets")
    parser.add_argument("--killed", action="store_true", help="kill the viewer now and then")
    given = parser.parse_args()
    variant = Variant(given.small, given.two, given.killed)
    failed: list[int] = []
    for seed in range(given.seed, given.seed + given.seeds):
        before_s = _cpu_s()
        with tempfile.TemporaryDirectory(prefix="gapless-chaos-") as folder:
            rig = Rig(seed, given.speed, Path(folder), variant)
            try:
                report = rig.run()
            except AssertionError:
                failed.append(seed)
                _print(f"FAILED seed {seed} after {rig.report}\n{traceback.format_exc()}")
                continue
        _print(
            f"clean  seed {seed}: {len(report.gestures)} gestures, {report.barriers} pictures, "
            f"{report.claims} verdicts, {report.looks} looks, {report.lives} lives, "
            f"{report.shown} lines "
            f"({report.refetched} refetched, {report.expired} expired), "
            f"{report.seconds:.0f} s, {_cpu_s() - before_s:.0f} s CPU"
        )
    _print(f"{given.seeds - len(failed)} of {given.seeds} clean {failed or ''}")
    return 1 if failed else 0


def _cpu_s() -> float:
    """CPU seconds of this process and of its ended children."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


sys.exit(main())
