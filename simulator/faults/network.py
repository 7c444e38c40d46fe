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

_CONNECTIONS: Final = "the connections, present and new"
_MESSAGES: Final = "the messages"


def _strain(strain: Callable[[Values], Strain]) -> Callable[[Fault, int], StrainCable]:
    """A strain on a share of the connections."""
    return lambda fault, turn: StrainCable(strain(fault.values), fault.toxicity, fault.seed + turn)


def _strain_frames(
    what: Literal["drop", "duplicate", "reorder", "mute_heartbeat"],
) -> Callable[[Fault, int], StrainCable]:
    """A strain on a share of the messages of every connection."""
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
        share_of=_CONNECTIONS,
        correct="""says at once that it is offline, and resumes at its cursor: nothing is lost,
        duplicated or out of place. A rule in the list says how long it was offline and how many
        events it recovered.""",
        contradiction=_disconnect_contradiction,
    ),
    FaultType(
        "latency",
        "Delays all bytes in both directions.",
        _strain(lambda values: Latency(values["latency_ms"], values["jitter_ms"])),
        (
            Attribute("latency_ms", 1_000, DAY_MS, "how much later everything arrives"),
            Attribute("jitter_ms", 0, DAY_MS, "more or less by up to this"),
        ),
        share_of=_CONNECTIONS,
        correct="is slower: nothing is lost, duplicated or out of place.",
    ),
    FaultType(
        "bandwidth",
        "Limits the rate of each connection, as a narrow link does, in both directions.",
        _strain(lambda values: Bandwidth(values["rate_kbps"])),
        (Attribute("rate_kbps", 500, 10_000_000, "kilobits a second, each way", minimum=1),),
        share_of=_CONNECTIONS,
        correct="""is slower: nothing is lost, duplicated or out of place. The forwarder's memory
        stays bounded, since it holds a cursor for each viewer and no queue.""",
    ),
    FaultType(
        "reset_peer",
        "Ends each connection with a reset after some bytes of the server's, perhaps mid-frame.",
        _strain(lambda values: Limit(values["after_bytes"], resets=True)),
        (_AFTER_BYTES,),
        share_of=_CONNECTIONS,
        correct="""resumes at its cursor each time and ignores half a frame: nothing is lost or
        duplicated.""",
    ),
    FaultType(
        "limit_data",
        "Ends each connection in order (FIN) after some bytes of the server's, perhaps mid-frame.",
        _strain(lambda values: Limit(values["after_bytes"], resets=False)),
        (_AFTER_BYTES,),
        share_of=_CONNECTIONS,
        correct="""resumes at its cursor each time and ignores half a frame: nothing is lost or
        duplicated.""",
    ),
    FaultType(
        "blackhole",
        "Passes nothing in either direction, not even the end of a connection: a half-open link.",
        _strain(lambda _: Hold(both_ways=True)),
        (FOR_MS,),
        share_of=f"{_CONNECTIONS}; a new one is accepted and gets no answer",
        correct="""notices within two heartbeats that nothing arrives, says so, reconnects and
        resumes exactly. It never shows a dead link as an idle one.""",
    ),
    FaultType(
        "close",
        "Sends viewers a WebSocket close frame with a code, and cuts the forwarder off.",
        lambda fault, turn: CloseWebSockets(
            fault.values["code"], fault.toxicity, fault.seed + turn
        ),
        (
            Attribute("code", 4001, 4_999, "WebSocket close code", minimum=1_000),
            EVERY_MS,
        ),
        instant,
        share_of="the open connections",
        correct="""reconnects and resumes exactly after every code but 4500-4999, after which it
        stops and says why (PROTOCOL.md, close codes).""",
        contradiction=_close_contradiction,
    ),
    FaultType(
        "drop_frame",
        "Drops whole WebSocket messages of the forwarder's.",
        _strain_frames("drop"),
        toxicity=0.1,
        share_of=_MESSAGES,
        correct="""sees from `n` that a message is missing, closes with 4010 and resumes at its
        cursor: nothing is lost.""",
    ),
    FaultType(
        "duplicate_frame",
        "Sends whole WebSocket messages of the forwarder's twice.",
        _strain_frames("duplicate"),
        toxicity=0.1,
        share_of=_MESSAGES,
        correct="""sees from `n` that it has the message already, and ignores it, or closes with
        4010 and resumes: nothing is duplicated.""",
    ),
    FaultType(
        "reorder_frame",
        "Sends a whole WebSocket message of the forwarder's after the one that follows it.",
        _strain_frames("reorder"),
        toxicity=0.1,
        share_of=_MESSAGES,
        correct="""sees from `n` that the order is broken, closes with 4010 and resumes at its
        cursor: nothing is lost, duplicated or out of place.""",
    ),
    FaultType(
        "mute_heartbeat",
        "Drops the forwarder's heartbeats, and nothing else.",
        _strain_frames("mute_heartbeat"),
        (FOR_MS,),
        share_of="the heartbeats",
        correct="""is never silently idle: it closes with 4012 after two heartbeats without a
        message, or with 4010 when the next message shows that one is missing, and resumes.""",
    ),
    FaultType(
        "stall_reader",
        "Stops reading from the forwarder, like a viewer that is stopped or hangs.",
        _strain(lambda _: Hold(both_ways=False)),
        (FOR_MS,),
        share_of="the viewers; what they send still arrives",
        correct="""keeps the forwarder's memory bounded and the other viewers' latency unaffected.
        It closes (4008) or aborts a connection that stays stuck; that viewer resumes exactly.""",
    ),
    FaultType(
        "block_upgrade",
        "Answers requests for a WebSocket with 502, and resets those that are open already.",
        _strain(lambda _: BlockUpgrade()),
        (FOR_MS,),
        share_of=f"{_CONNECTIONS}; plain requests pass",
        correct="""goes on by polling, says that it is degraded, loses nothing, and returns to the
        WebSocket when it can.""",
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
        share_of="the clients; each watches the last ten minutes and reads all that it gets",
        correct="""serves them from the journal, with few scans of CloudWatch however many they
        are, and refuses those that it cannot take. Other viewers go on.""",
    ),
)
"""Every fault of the network."""
