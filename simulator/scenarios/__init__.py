"""The scenarios that can be run, one a file: timed steps that follow from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simulator.scenarios.base import Scenario

_ALL: Final[tuple[Scenario, ...]] = ()

SCENARIOS: Final[Mapping[str, Scenario]] = {one.name: one for one in _ALL}
"""Every scenario by its name; the one table that control API and command read."""
