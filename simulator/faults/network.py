"""Faults between viewer and forwarder, on the simulated cable. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from simulator.faults.base import (
    DAY_MS,
    EVERY_MS,
    FOR_MS,
    Attribute,
    CloseWebSockets,
    CutCable,
    Cycle,
    Fault,
    FaultType,
    GatherCrowd,
    StrainCable,
    Values,
    instant,
)
from simulator.network.toxics import (
    Bandwidth,
    BlockUpgrade,
    FrameStrain,
    Hold,
    Latency,
    Limit,
    Strain,
)

_NEVER_SENT: Final = (1004, 1005, 1006, 1015)
"""Codes that no close frame may have: RFC 6455, section 7.4.1."""

_AFTER_BYTES: Final = Attribute("after_bytes", 100_000, 1 << 30, "bytes that still arrive")
"""Bytes of the server's, counted from the connection's start, or from when the fault came on."""


def _strain(strain: Callable[[Values], Strain]) -> Callable[[Fault, int], StrainCable]:
    """The harm that strains a share of the connections."""
    return lambda fault, turn: StrainCable(strain(fault.values), fault.toxicity, fault.seed + turn)


def _strain_frames(
    what: Literal["drop", "duplicate", "reorder", "mute_heartbeat"],
) -> Callable[[Fault, int], StrainCable]:
    """The harm that strains a share of the messages of every connection."""
    return lambda fault, turn: StrainCable(
        FrameStrain(what, fault.toxicity), 1.0, fault.seed + turn
    )


def _disconnect_cycle(values: Values) -> Cycle:
    return Cycle(values["down_ms"] or None, values["every_ms"])


def _disconnect_contradiction(values: Values) -> str | None:
    down_ms, every_ms = values["down_ms"], values["every_ms"]
    if not every_ms or 0 < down_ms < every_ms:
        return None
    return f"every_ms={every_ms} needs a down_ms above 0 and below it, not {down_ms}"


def _close_contradiction(values: Values) -> str | None:
    code = values["code"]
    if code not in _NEVER_SENT:
        return None
    return f"code {code} is never sent in a close frame; take another"


NETWORK: Final = (
    FaultType(
        "disconnect",
        "Cuts every connection at once, as a reset, and refuses new ones while it is on.",
        lambda fault, turn: CutCable(fault.toxicity, fault.seed + turn),
        (
            Attribute("down_ms", 0, DAY_MS, "how long the network is down, 0 = until healed"),
            Attribute("every_ms", 0, DAY_MS, "cut again after, 0 = once"),
        ),
        _disconnect_cycle,
        contradiction=_disconnect_contradiction,
        affects="connections",
    ),
    FaultType(
        "latency",
        "Delays all bytes in both directions.",
        _strain(lambda values: Latency(values["latency_ms"], values["jitter_ms"])),
        (
            Attribute("latency_ms", 1_000, DAY_MS, "how much later everything arrives"),
            Attribute("jitter_ms", 0, DAY_MS, "more or less by up to this"),
        ),
        affects="deliveries",
    ),
    FaultType(
        "bandwidth",
        "Limits the rate of each connection, as a narrow link does, in both directions.",
        _strain(lambda values: Bandwidth(values["rate_kbps"])),
        (Attribute("rate_kbps", 500, 10_000_000, "kilobits a second, each way", minimum=1),),
        affects="deliveries",
    ),
    FaultType(
        "reset_peer",
        "Ends each connection with a reset after some bytes of the server's, perhaps mid-frame.",
        _strain(lambda values: Limit(values["after_bytes"], resets=True)),
        (_AFTER_BYTES,),
        affects="connections",
    ),
    FaultType(
        "limit_data",
        "Ends each connection in order (FIN) after some bytes of the server's, perhaps mid-frame.",
        _strain(lambda values: Limit(values["after_bytes"], resets=False)),
        (_AFTER_BYTES,),
        affects="connections",
    ),
    FaultType(
        "blackhole",
        "Passes nothing in either direction, not even the end of a connection: a half-open link.",
        _strain(lambda _: Hold(both_ways=True)),
        (FOR_MS,),
        affects="connections",
    ),
    FaultType(
        "close",
        "Sends viewers a WebSocket close frame with a code, and cuts the forwarder off.",
        lambda fault, turn: CloseWebSockets(
            fault.values["code"], fault.toxicity, fault.seed + turn
        ),
        (Attribute("code", 4001, 4_999, "WebSocket close code", minimum=1_000), EVERY_MS),
        instant,
        contradiction=_close_contradiction,
        affects="connections",
    ),
    FaultType(
        "drop_frame",
        "Drops whole WebSocket messages of the forwarder's.",
        _strain_frames("drop"),
        toxicity=0.1,
        affects="messages",
    ),
    FaultType(
        "duplicate_frame",
        "Sends whole WebSocket messages of the forwarder's twice.",
        _strain_frames("duplicate"),
        toxicity=0.1,
        affects="messages",
    ),
    FaultType(
        "reorder_frame",
        "Sends a whole WebSocket message of the forwarder's after the one that follows it.",
        _strain_frames("reorder"),
        toxicity=0.1,
        affects="messages",
    ),
    FaultType(
        "mute_heartbeat",
        "Drops the forwarder's heartbeats, and nothing else.",
        _strain_frames("mute_heartbeat"),
        (FOR_MS,),
        affects="messages",
    ),
    FaultType(
        "stall_reader",
        "Stops reading from the forwarder, like a viewer that is stopped or hangs.",
        _strain(lambda _: Hold(both_ways=False)),
        (FOR_MS,),
        affects="connections",
    ),
    FaultType(
        "block_upgrade",
        "Answers requests for a WebSocket with 502, and resets those that are open already.",
        _strain(lambda _: BlockUpgrade()),
        (FOR_MS,),
        affects="connections",
    ),
    FaultType(
        "storm",
        "Connects a crowd of real WebSocket clients at once; they reconnect without a pause.",
        lambda fault, _: GatherCrowd(round(fault.values["clients"] * fault.toxicity)),
        (
            Attribute("clients", 50, 1_000, "clients that connect at once", minimum=1),
            Attribute("every_ms", 0, DAY_MS, "all reconnect after, 0 = only when cut off"),
            Attribute("for_ms", 0, DAY_MS, "how long they stay, 0 = until healed"),
        ),
        affects="connections",
    ),
)
"""Every fault of the network."""
