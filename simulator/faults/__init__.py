"""The faults that can be switched on, one a file; see ``CONTRIBUTING.md`` on adding one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simulator.faults.bandwidth import BandwidthFault
from simulator.faults.base import Fault
from simulator.faults.blackhole import Blackhole
from simulator.faults.block_upgrade import BlockUpgradeFault
from simulator.faults.close import Close
from simulator.faults.disconnect import Disconnect
from simulator.faults.drop_frame import DropFrame
from simulator.faults.duplicate_frame import DuplicateFrame
from simulator.faults.duplicate_timestamps import DuplicateTimestamps
from simulator.faults.latency import LatencyFault
from simulator.faults.limit_data import LimitData
from simulator.faults.mute_heartbeat import MuteHeartbeat
from simulator.faults.reorder_frame import ReorderFrame
from simulator.faults.reset_peer import ResetPeer
from simulator.faults.stall_reader import StallReader
from simulator.faults.storm import Storm
from simulator.faults.visibility_delay import VisibilityDelay

NETWORK: Final[tuple[type[Fault], ...]] = (
    LatencyFault,
    BandwidthFault,
    ResetPeer,
    LimitData,
    Blackhole,
    Close,
    DropFrame,
    DuplicateFrame,
    ReorderFrame,
    MuteHeartbeat,
    StallReader,
    BlockUpgradeFault,
    Storm,
)
"""Between viewer and forwarder, beside ``disconnect``."""

_ALL: Final[tuple[type[Fault], ...]] = (
    Disconnect,
    VisibilityDelay,
    DuplicateTimestamps,
    *NETWORK,
)

FAULTS: Final[Mapping[str, type[Fault]]] = {one.type: one for one in _ALL}
"""Every fault by its type; the one table that the control API and ``gapless inject`` read."""
