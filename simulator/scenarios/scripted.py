"""Every scenario: the scripted ones from the files in ``built_in``, and ``chaos``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from simulator.scenarios import chaos
from simulator.scenarios.base import Scenario
from simulator.scenarios.script import read_script

ORDER: Final = (
    "late-connect",
    "reconnect",
    "duplicates",
    "high-volume",
    "duplicate-timestamps",
    "late-events",
    "subscription-outage",
    "throttled",
    "expired-credentials",
    "refused-calls",
    "masked-lines",
    "slow-viewer",
    "forwarder-crash",
    "viewer-crash",
    "last-words",
    "strange-lines",
    "future-clock",
    "half-open",
    "storm",
    "retention",
    "group-recreated",
    "failover",
    "split-brain",
    "database-outage",
)
"""The files' names, in the order in which a newcomer should see them."""

_FILES: Final = {path.stem: path for path in Path(__file__).with_name("built_in").glob("*/*.toml")}


def _read(name: str) -> Scenario:
    path = _FILES[name]
    scenario = read_script(path.read_text(encoding="utf-8"), path.name)
    return scenario._replace(script="", path="")


SCRIPTED: Final = tuple(map(_read, ORDER))

SCENARIOS: Final[Mapping[str, Scenario]] = {one.name: one for one in (*SCRIPTED, chaos.SCENARIO)}
"""Every scenario by its name, for the control API and ``gapless scenario``."""
