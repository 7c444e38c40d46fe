"""The faults that can be switched on, one a file; see ``CONTRIBUTING.md`` on adding one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simulator.faults.base import Fault
from simulator.faults.cloudwatch import (
    EmptyPage,
    ExpireToken,
    GroupRecreated,
    RepeatToken,
    RetentionExpire,
    ServerError,
    ShortPage,
    SlowResponse,
    Throttle,
    TruncatedResponse,
    Unreachable,
    VisibilityDelay,
)
from simulator.faults.live_path import (
    SubscriptionDelay,
    SubscriptionDuplicate,
    SubscriptionReorder,
    SubscriptionSkip,
    SubscriptionStop,
)
from simulator.faults.network import (
    BandwidthFault,
    Blackhole,
    BlockUpgradeFault,
    Close,
    Disconnect,
    DropFrame,
    DuplicateFrame,
    Flap,
    LatencyFault,
    LimitData,
    MuteHeartbeat,
    ReorderFrame,
    ResetPeer,
    StallReader,
    Storm,
)
from simulator.faults.programs import (
    ClockJump,
    DiskFull,
    ForwarderCrash,
    JournalLost,
    JournalRolledBack,
    ViewerCrash,
)
from simulator.faults.workload import (
    BlankMessages,
    Burst,
    DuplicateTimestamps,
    FutureEvents,
    HugeEvent,
    IdenticalMessages,
    LastWords,
    LateEvents,
    NewStream,
    OutOfOrderBatches,
    TerminalEscapes,
)

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

PROGRAMS: Final[tuple[type[Fault], ...]] = (
    ForwarderCrash,
    JournalLost,
    JournalRolledBack,
    DiskFull,
    ViewerCrash,
    ClockJump,
)
"""To the programs."""

CLOUDWATCH: Final[tuple[type[Fault], ...]] = (
    Throttle,
    ServerError,
    SlowResponse,
    TruncatedResponse,
    EmptyPage,
    ShortPage,
    RepeatToken,
    ExpireToken,
    Flap,
    Unreachable,
    RetentionExpire,
    GroupRecreated,
)
"""Between forwarder and CloudWatch, beside ``visibility_delay``."""

LIVE_PATH: Final[tuple[type[Fault], ...]] = (
    SubscriptionDelay,
    SubscriptionDuplicate,
    SubscriptionReorder,
    SubscriptionSkip,
    SubscriptionStop,
)
"""Between CloudWatch's subscription filter and the forwarder."""

WORKLOAD: Final[tuple[type[Fault], ...]] = (
    IdenticalMessages,
    BlankMessages,
    LateEvents,
    FutureEvents,
    OutOfOrderBatches,
    Burst,
    HugeEvent,
    NewStream,
    TerminalEscapes,
    LastWords,
)
"""What executions write, beside ``duplicate_timestamps``."""

_ALL: Final[tuple[type[Fault], ...]] = (
    Disconnect,
    VisibilityDelay,
    DuplicateTimestamps,
    *NETWORK,
    *CLOUDWATCH,
    *LIVE_PATH,
    *PROGRAMS,
    *WORKLOAD,
)

FAULTS: Final[Mapping[str, type[Fault]]] = {one.type: one for one in _ALL}
"""Every fault by its type; the one table that the control API and ``gapless inject`` read."""
