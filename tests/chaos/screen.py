"""Runs the viewer's screen with a simulator's switches, as ``gapless demo`` does, and a record.

The one argument is a JSON object: ``url``, ``group``, ``control``, ``since``, ``record``,
``capacity``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from common.errors import GaplessError
from gapless.terminal import say
from gapless.viewing.model import Viewing, WatchedTarget
from gapless.viewing.opening import SameTargetsOpener
from gapless.viewing.watch import watch


def main() -> int:
    given = json.loads(sys.argv[1])
    viewing = Viewing(
        targets=(
            WatchedTarget(
                url=given["url"], name=given["group"], group=given["group"], key=given["url"]
            ),
        ),
        since=given["since"],
        control=given["control"],
        record=Path(given["record"]),
        capacity=given["capacity"],
    )
    try:
        return watch(viewing, SameTargetsOpener(viewing))
    except GaplessError as error:
        say(str(error))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
