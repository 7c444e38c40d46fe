"""``python -m tests.simulation SEED [TROUBLE ...]`` repeats a run and prints its trace.

``--seeds COUNT`` makes that many runs instead, and prints the trace of the first that fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tests.simulation.judge import FaultError
from tests.simulation.plan import Plan, small_world
from tests.simulation.world import World


def main() -> int:
    """Make the runs; returns 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("seed", nargs="?", type=int, default=0, help="the first seed")
    parser.add_argument("troubles", nargs="*", metavar="TROUBLE", help="instead of the seed's own")
    parser.add_argument("--seeds", type=int, default=0, help="number of seeds")
    given = parser.parse_args()
    start = time.monotonic()
    for seed in range(given.seed, given.seed + max(1, given.seeds)):
        is_good, trace = _run(seed, given.troubles)
        if not (is_good and given.seeds):
            sys.stdout.write(trace)
        if not is_good:
            return 1
    if given.seeds:
        sys.stdout.write(f"{given.seeds} seeds passed in {time.monotonic() - start:.0f} s\n")
    return 0


def _run(seed: int, troubles: Sequence[str]) -> tuple[bool, str]:
    """Make one run; returns whether it passed, and what happened."""
    plan = Plan.of(seed, tuple(troubles) or None)
    with small_world(plan):
        world = World(plan)
        try:
            world.run()
            is_good, end = True, f"converged at {world.now}, {world.judge.marks} marks"
        except FaultError as fault:
            is_good, end = False, f"at {world.now}: {fault}"
    return is_good, "\n".join([str(plan), *world.trace, end, ""])


if __name__ == "__main__":
    sys.exit(main())
