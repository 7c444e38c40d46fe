"""``python -m tests.house``: measures the code layout, and checks its limits.

Without options it prints the measures of this tree; ``--before DIR`` adds a column for another
tree. ``--check`` names each violation of a limit and exits with 1 if there is one. ``trace``
counts the files that one event passes from FilterLogEvents to a drawn row.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.house import limits, measures
from tests.house.sources import PRODUCT, read_folders, read_tree

ROOT = Path(__file__).parents[2]

TOOLS = ("tests", "screenshots", "release")
"""Folders of code that is not the product."""


def main() -> int:
    """Print what was asked for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.house", description=__doc__)
    parser.add_argument("mode", nargs="?", choices=["table", "trace"], default="table")
    parser.add_argument("--tree", type=Path, default=ROOT, help="the tree to measure; this one")
    parser.add_argument("--before", type=Path, help="a tree to compare with")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit is exceeded")
    parser.add_argument("-v", "--verbose", action="store_true", help="name what is counted")
    given = parser.parse_args()
    if given.check:
        return _check(given.tree)
    trees = {"before": given.before, "now": given.tree} if given.before else {"now": given.tree}
    if given.mode == "trace":
        from tests.house.trace import report, trace_event  # noqa: PLC0415 - boto3 takes a second to import

        for label, tree in trees.items():
            _say(f"## {label}", report(trace_event(tree.resolve()), verbose=given.verbose))
        return 0
    columns = {
        label: measures.measure(read_tree(tree, PRODUCT), read_folders(tree, PRODUCT))
        for label, tree in trees.items()
    }
    _say(measures.format_table(columns))
    if given.verbose:
        for label, found in columns.items():
            for one in found:
                _say(f"\n## {label}, {one.label}: {one.value}", *one.names)
    return 0


def _check(tree: Path) -> int:
    folders = read_folders(tree, (*PRODUCT, *TOOLS))
    violations = limits.find_violations(read_tree(tree, PRODUCT), read_tree(tree, TOOLS), folders)
    _say(*(f"remark: {one}" for one in limits.find_remarks(folders)), *violations)
    _say(f"{len(violations)} violations of the layout's limits" if violations else "layout: ok")
    return 1 if violations else 0


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
