"""The faults that can be switched on, one a file; see ``CONTRIBUTING.md`` on adding one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simulator.faults.base import Fault
from simulator.faults.disconnect import Disconnect
from simulator.faults.duplicate_timestamps import DuplicateTimestamps
from simulator.faults.visibility_delay import VisibilityDelay

FAULTS: Final[Mapping[str, type[Fault]]] = {
    one.type: one for one in (Disconnect, VisibilityDelay, DuplicateTimestamps)
}
"""Every fault by its type; the one table that the control API and ``gapless inject`` read."""
