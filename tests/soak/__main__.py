"""Runs every program for long while everything breaks: ``python -m tests.soak --minutes 30``.

Exits with 0 only if no viewer lost, duplicated or misordered a line or claimed completeness
falsely, and memory and file descriptors of every long life stayed flat.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.rig import Soak


def main() -> int:
    """Run a soak, and print its report."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep what was printed there")
    given = parser.parse_args()
    if not given.minutes > 0:
        parser.error("--minutes must be above 0")
    # Viewers inherit it: SIGUSR1 before they handle it would end them.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gapless-soak-") as folder:
        kept = Path(folder) if given.keep is None else given.keep
        kept.mkdir(parents=True, exist_ok=True)
        report = Soak(given.seed, given.minutes, kept, _print).run()
    minutes = (time.monotonic() - began) / 60
    for line in report.facts:
        _print(line)
    for line in report.wrong:
        _print(f"WRONG {line}")
    verdict = "FAILED" if report.wrong else "clean"
    _print(f"{verdict}: seed {given.seed}, {minutes:.1f} min; repeat with --seed {given.seed}")
    return 1 if report.wrong else 0


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
