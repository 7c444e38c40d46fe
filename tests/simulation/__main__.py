"""``python -m tests.simulation SEED [TROUBLE ...]``: repeats one run and prints its trace."""

from __future__ import annotations

import sys

from tests.simulation.judge import FaultError
from tests.simulation.plan import Plan, small_world
from tests.simulation.world import World


def main() -> int:
    """Repeat the run; returns 1 if it fails."""
    seed, troubles = int(sys.argv[1]), tuple(sys.argv[2:])
    plan = Plan.of(seed, troubles or None)
    out = sys.stdout.write
    with small_world(plan):
        world = World(plan)
        out(f"{plan}\n")
        try:
            world.run()
        except FaultError as fault:
            out("\n".join([*world.trace, f"at {world.now}: {fault}", ""]))
            return 1
    out("\n".join([*world.trace, f"converged at {world.now}, {world.judge.marks} marks", ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
