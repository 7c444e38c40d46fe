"""``python -m tests.chaos``: the screen in chaos, seed by seed, as long as one likes.

What fails is printed with its seed, which draws the same gestures and the same troubles again;
when they meet is the machine's affair.
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
    """Run the seeds that were asked for; 1 where any failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--speed", type=float, default=4)
    parser.add_argument("--small", action="store_true", help="memory for fewer lines than come")
    parser.add_argument("--two", action="store_true", help="two targets")
    parser.add_argument("--killed", action="store_true", help="kill it now and then")
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
                _say(f"FAILED seed {seed} after {rig.report}\n{traceback.format_exc()}")
                continue
        _say(
            f"clean  seed {seed}: {len(report.gestures)} gestures, {report.barriers} pictures, "
            f"{report.looks} looks, {report.lives} lives, {report.shown} lines "
            f"({report.recalled} of them fetched again, {report.expired} expired), "
            f"{report.seconds:.0f} s, {_cpu_s() - before_s:.0f} s CPU"
        )
    _say(f"{given.seeds - len(failed)} of {given.seeds} clean {failed or ''}")
    return 1 if failed else 0


def _cpu_s() -> float:
    """What this process and those that it started and that ended have used."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


sys.exit(main())
