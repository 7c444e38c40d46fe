"""``python -m tests.mutants MUTANT -- ARGUMENTS``: runs ``gapless ARGUMENTS`` with one defect.

Without a mutant it lists them.
"""

from __future__ import annotations

import sys

from gapless.cli import main
from tests.mutants.catalogue import MUTANTS


def run() -> None:
    """Apply the named mutant and run the normal command."""
    name, *rest = sys.argv[1:] or [""]
    if name not in MUTANTS or rest[:1] != ["--"]:
        for one in MUTANTS.values():
            sys.stdout.write(f"{one.name:24} {one.doc}\n")
        sys.exit(2 if name else 0)
    MUTANTS[name].apply()
    sys.argv[1:] = rest[1:]
    main()


run()
