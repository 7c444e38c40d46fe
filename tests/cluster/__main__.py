"""``python -m tests.cluster SEED`` repeats a run; ``--seeds COUNT`` runs many."""

from __future__ import annotations

import argparse
import sys
import time

from tests.cluster.runs import run_seed


def main() -> None:
    """Run the worlds, and end at the first that fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster")
    parser.add_argument("seed", nargs="?", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    given = parser.parse_args()
    start = time.monotonic()
    for seed in range(given.seed, given.seed + given.seeds):
        run_seed(seed)
    sys.stdout.write(f"{given.seeds} seeds passed in {time.monotonic() - start:.0f} s\n")


if __name__ == "__main__":
    main()
