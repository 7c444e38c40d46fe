"""Runs the tests in a real browser and keeps its pictures: ``make browser ARGS="--out DIR"``.

The page of ``gapless demo --web``, and what a foreign web page can do to a forwarder: nothing.
They need Chromium (Debian: ``apt-get install chromium``). ``tests/blackbox/viewer/test_browser.py``
runs them with all other tests.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.browser.foreign_page import check_foreign_page
from tests.browser.page_walk import walk


def main() -> int:
    """Run the walk; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser", description=__doc__)
    parser.add_argument("--out", type=Path, metavar="DIRECTORY", help="folder for the pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gapless-browser-") as folder:
        out = options.out or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        for step in check_foreign_page(Path(folder)):
            sys.stdout.write(f"{step}\n")
        walk(out, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
