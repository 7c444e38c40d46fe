"""Runs the simulator with a fake forwarder; its argument is a SimulatorConfig as JSON.

``forwarder`` in the JSON replaces the fake forwarder's command.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from simulator.errors import SimulatorError
from simulator.main import SimulatorConfig, run

FAKE = [sys.executable, str(Path(__file__).with_name("fake_forwarder.py"))]


def main() -> int:
    given = json.loads(sys.argv[1])
    forwarder = given.pop("forwarder", FAKE)
    if "while_held" in given:
        given["while_held"] = Path(given["while_held"])
    try:
        run(SimulatorConfig(**given), lambda url: [*forwarder, url])
    except SimulatorError as error:
        sys.stderr.write(f"gapless: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
