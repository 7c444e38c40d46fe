"""The faults that can be switched on, one a file; see ``CONTRIBUTING.md`` on adding one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simulator.faults.bandwidth import BandwidthFault
from simulator.faults.base import Fault
from simulator.faults.blackhole import Blackhole
from simulator.faults.blank_messages import BlankMessages
from simulator.faults.block_upgrade import BlockUpgradeFault
from simulator.faults.burst import Burst
from simulator.faults.clock_jump import ClockJump
from simulator.faults.close import Close
from simulator.faults.disconnect import Disconnect
from simulator.faults.disk_full import DiskFull
from simulator.faults.drop_frame import DropFrame
from simulator.faults.duplicate_frame import DuplicateFrame
from simulator.faults.duplicate_timestamps import DuplicateTimestamps
from simulator.faults.empty_page import EmptyPage
from simulator.faults.expire_token import ExpireToken
from simulator.faults.flap import Flap
from simulator.faults.future_events import FutureEvents
from simulator.faults.group_recreated import GroupRecreated
from simulator.faults.huge_event import HugeEvent
from simulator.faults.identical_messages import IdenticalMessages
from simulator.faults.journal_lost import JournalLost
from simulator.faults.journal_rolled_back import JournalRolledBack
from simulator.faults.last_words import LastWords
from simulator.faults.late_events import LateEvents
from simulator.faults.latency import LatencyFault
from simulator.faults.limit_data import LimitData
from simulator.faults.mute_heartbeat import MuteHeartbeat
from simulator.faults.new_stream import NewStream
from simulator.faults.out_of_order_batches import OutOfOrderBatches
from simulator.faults.programs import ForwarderCrash
from simulator.faults.reorder_frame import ReorderFrame
from simulator.faults.repeat_token import RepeatToken
from simulator.faults.reset_peer import ResetPeer
from simulator.faults.retention_expire import RetentionExpire
from simulator.faults.server_error import ServerError
from simulator.faults.short_page import ShortPage
from simulator.faults.slow_response import SlowResponse
from simulator.faults.stall_reader import StallReader
from simulator.faults.storm import Storm
from simulator.faults.subscription_delay import SubscriptionDelay
from simulator.faults.subscription_duplicate import SubscriptionDuplicate
from simulator.faults.subscription_reorder import SubscriptionReorder
from simulator.faults.subscription_skip import SubscriptionSkip
from simulator.faults.subscription_stop import SubscriptionStop
from simulator.faults.terminal_escapes import TerminalEscapes
from simulator.faults.throttle import Throttle
from simulator.faults.truncated_response import TruncatedResponse
from simulator.faults.unreachable import Unreachable
from simulator.faults.viewer_crash import ViewerCrash
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
