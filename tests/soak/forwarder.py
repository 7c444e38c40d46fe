"""``gapless`` with a lifecycle pattern that a backtracking matcher never finishes.

``python -m tests.soak.forwarder ARGUMENTS`` is ``gapless ARGUMENTS``; the simulator starts its
forwarder by it.
"""

from __future__ import annotations

import sys

from gapless.cli import main

HOSTILE = "(a+)+b|error.*timeout"

if __name__ == "__main__":
    sys.argv[1:] = [
        one.replace("pattern:", f"pattern:{HOSTILE}|", 1) if one.startswith("pattern:") else one
        for one in sys.argv[1:]
    ]
    main()
