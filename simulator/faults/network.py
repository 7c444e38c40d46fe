"""What the faults have in common that put connections under a strain for a time.

``bandwidth``: the link between viewer and forwarder is narrow.

``blackhole``: the link is dead, and nobody says so.

``block_upgrade``: a middlebox lets HTTP through, and no WebSocket.

``close``: the forwarder seems to close, with a code.

``disconnect``: the cable between viewer and forwarder is out.

``drop_frame``: messages of the forwarder get lost.

``duplicate_frame``: messages of the forwarder arrive twice.

``flap``: an event is in one scan and not in the next.

``latency``: everything takes longer on the way between viewer and forwarder.

``limit_data``: connections end in the middle of what they carry.

``mute_heartbeat``: heartbeats do not arrive.

``reorder_frame``: messages of the forwarder change places.

``reset_peer``: connections are reset in the middle of what they carry.

``stall_reader``: a viewer does not read any more, and stays connected.

``storm``: a crowd of viewers connects at once, and comes back at once.
"""

from __future__ import annotations

from abc import abstractmethod
from zlib import crc32

from simulator.cloudwatch.levers import Lever, StoredEvent
from simulator.errors import SimulatorError
from simulator.faults.base import DAY_MS, Attribute, Cycle, Fault, LeverFault, Levers
from simulator.network.toxics import (
    Bandwidth,
    BlockUpgrade,
    FrameStrain,
    Hold,
    Latency,
    Limit,
    Strain,
)

FOR_MS = Attribute("for_ms", 0, DAY_MS, "how long, 0 = until healed")
"""An attribute of many of them."""


class StrainingFault(Fault):
    """Puts a share of the connections under a strain; of a ``FrameStrain``, all of them."""

    @abstractmethod
    def strain(self) -> Strain:
        """What the connections suffer."""

    def cycle(self) -> Cycle:
        """On for ``for_ms``, where the fault has it; else until healed."""
        return Cycle(on_ms=self.values.get("for_ms") or None)

    def start(self, levers: Levers, turn: int) -> None:
        """Begin."""
        strain = self.strain()
        share = 1.0 if isinstance(strain, FrameStrain) else self.toxicity
        levers.cable.strain(self.name, strain, share, self.seed + turn)

    def stop(self, levers: Levers) -> None:
        """Let go; what waited arrives."""
        levers.cable.ease(self.name)


class BandwidthFault(StrainingFault):
    """Lets no more through than a narrow link does, each way, on a share of the connections.

    Attributes:
        rate_kbps: kilobits (1,000 bits) a second, for each connection and each way.

    ``toxicity`` is the share of the connections that it hits.

    A correct system is slower: nothing is lost, doubled or out of place, and the forwarder's
    memory stays bounded, since a viewer is a cursor and not a queue.

    """

    type = "bandwidth"
    attributes = (
        Attribute("rate_kbps", 500, 10_000_000, "kilobits a second, each way", minimum=1),
    )

    def strain(self) -> Strain:
        """What the connections suffer."""
        return Bandwidth(self.values["rate_kbps"])


class Blackhole(StrainingFault):
    """Lets nothing through, either way, no end and no reset either: a half-open link.

    Attributes:
        for_ms: how long; 0 = until healed. What was sent meanwhile arrives then, as after TCP's
            retransmission, unless its connection was given up.

    ``toxicity`` is the share of the connections that it hits; a new one is accepted and gets no
    answer.

    A correct viewer notices within two heartbeats that nothing comes, says so, and tries again;
    it resumes exactly. Its screen never calls a dead link quiet.

    """

    type = "blackhole"
    attributes = (FOR_MS,)

    def strain(self) -> Strain:
        """What the connections suffer."""
        return Hold(both_ways=True)


class BlockUpgradeFault(StrainingFault):
    """Answers requests for a WebSocket with 502, and resets those that are open already.

    Attributes:
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the connections that it hits. Plain requests pass.

    A correct viewer goes on by polling, says that it is degraded, and loses nothing; it comes
    back to the WebSocket when it can.

    """

    type = "block_upgrade"
    attributes = (FOR_MS,)

    def strain(self) -> Strain:
        """What the connections suffer."""
        return BlockUpgrade()


_NOT_SENT = (1004, 1005, 1006, 1015)
"""Codes that must not be in a close frame: RFC 6455, section 7.4.1."""


class Close(Fault):
    """Sends viewers a WebSocket close frame with a code, and cuts the forwarder off.

    Attributes:
        code: the close code.
        every_ms: again that long after the last time; 0 = once.

    ``toxicity`` is the share of the open connections that it hits.

    A correct viewer comes back after 4000-4499, 1000-1015 and every other code but 4500-4999,
    after which it stops and says why (see the protocol's close codes). It resumes exactly.

    """

    type = "close"
    attributes = (
        Attribute("code", 4001, 4_999, "WebSocket close code", minimum=1_000),
        Attribute("every_ms", 0, DAY_MS, "again after, 0 = once"),
    )

    def check(self) -> None:
        """Refuse codes that no frame may have.

        Raises:
            SimulatorError: it is one of them.

        """
        code = self.values["code"]
        if code in _NOT_SENT:
            msg = f"code {code} is never sent in a close frame; take another"
            raise SimulatorError(msg)

    def cycle(self) -> Cycle:
        """An instant, every ``every_ms``."""
        return Cycle(on_ms=0, every_ms=self.values["every_ms"])

    def start(self, levers: Levers, turn: int) -> None:
        """Close."""
        levers.cable.close_with(self.values["code"], self.toxicity, self.seed + turn)

    def stop(self, levers: Levers) -> None:
        """Nothing: who was cut off comes back."""


class Disconnect(Fault):
    """Cuts every connection at once, as a reset, and refuses new ones while it is on.

    Attributes:
        down_ms: how long the cable is out; 0 = until it is plugged in again.
        every_ms: it is pulled again that long after the last time; 0 = once.

    ``toxicity`` is the share of the connections that it hits.

    A correct viewer says at once that it is offline. When the cable is back it resumes at its
    cursor: nothing is lost, doubled or out of place, and a rule in the list says how long it was
    away and how much it recovered.

    """

    type = "disconnect"
    attributes = (
        Attribute("down_ms", 0, DAY_MS, "how long the cable is out, 0 = until plugged in"),
        Attribute("every_ms", 0, DAY_MS, "pulled again after, 0 = once"),
    )

    def check(self) -> None:
        """``every_ms`` needs a ``down_ms`` below it.

        Raises:
            SimulatorError: it has none.

        """
        down_ms, every_ms = self.values["down_ms"], self.values["every_ms"]
        if every_ms and not 0 < down_ms < every_ms:
            msg = f"every_ms={every_ms} needs a down_ms above 0 and below it, not {down_ms}"
            raise SimulatorError(msg)

    def cycle(self) -> Cycle:
        """Out for ``down_ms``, every ``every_ms``."""
        return Cycle(on_ms=self.values["down_ms"] or None, every_ms=self.values["every_ms"])

    def start(self, levers: Levers, turn: int) -> None:
        """Pull."""
        levers.cable.pull(self.name, self.toxicity, self.seed + turn)

    def stop(self, levers: Levers) -> None:
        """Plug in."""
        levers.cable.plug(self.name)


class DropFrame(StrainingFault):
    """Takes whole WebSocket messages of the forwarder's away.

    ``toxicity`` is the share of the messages that it hits.

    A correct viewer sees from ``n`` that one is missing, closes with 4010 and resumes at its
    cursor: nothing is lost.

    """

    type = "drop_frame"
    toxicity_default = 0.1

    def strain(self) -> Strain:
        """What the connections suffer."""
        return FrameStrain("drop", self.toxicity)


class DuplicateFrame(StrainingFault):
    """Sends whole WebSocket messages of the forwarder's twice.

    ``toxicity`` is the share of the messages that it hits.

    A correct viewer sees from ``n`` that it has had this one, and closes with 4010 and resumes,
    or ignores it: nothing is doubled.

    """

    type = "duplicate_frame"
    toxicity_default = 0.1

    def strain(self) -> Strain:
        """What the connections suffer."""
        return FrameStrain("duplicate", self.toxicity)


_BITS = 32


class FlapLever(Lever):
    """Hides other events in each period."""

    def hides(self, event: StoredEvent, now_ms: int) -> bool:
        """Whether the event is away in this period; every read of the period says the same."""
        period = now_ms // self.attributes["period_ms"]
        drawn = crc32(f"{self.seed} {event.id} {period}".encode())
        return drawn / (1 << _BITS) < self.toxicity


class Flap(LeverFault):
    """Hides a share of the events for a while, then others; all have been there before.

    Attributes:
        period_ms: how long the same ones are away.
        for_ms: how long it goes on; 0 = until healed.

    ``toxicity`` is the share of the events that is away at a time.

    A correct system keeps what it has seen, and marks nothing from a scan that failed to return
    what it knows.

    """

    type = "flap"
    lever = FlapLever
    toxicity_default = 0.1
    attributes = (
        Attribute("period_ms", 3_000, DAY_MS, "how long the same are away", minimum=1),
        FOR_MS,
    )

    def cycle(self) -> Cycle:
        """On for ``for_ms``, or until healed."""
        return Cycle(on_ms=self.values["for_ms"] or None)


class LatencyFault(StrainingFault):
    """Delays all bytes, each way, on the share of the connections that ``toxicity`` says.

    Attributes:
        latency_ms: how much later they arrive.
        jitter_ms: more or less by up to this, drawn for each piece; the order stays.

    A correct system is slower: nothing is lost, doubled or out of place.

    """

    type = "latency"
    attributes = (
        Attribute("latency_ms", 1_000, DAY_MS, "how much later everything arrives"),
        Attribute("jitter_ms", 0, DAY_MS, "more or less by up to this"),
    )

    def strain(self) -> Strain:
        """What the connections suffer."""
        return Latency(self.values["latency_ms"], self.values["jitter_ms"])


class LimitData(StrainingFault):
    """Ends each connection in order (FIN) after some bytes of the server's, mid-frame or not.

    Attributes:
        after_bytes: how many bytes of the server's still arrive, counted for each connection
            from its beginning or from when this was switched on.

    ``toxicity`` is the share of the connections that it hits; while it is on, new ones too.

    A correct viewer resumes at its cursor as often as it takes: nothing is lost or doubled,
    half a frame is nothing.

    """

    type = "limit_data"
    attributes = (Attribute("after_bytes", 100_000, 1 << 30, "bytes that still arrive"),)

    def strain(self) -> Strain:
        """What the connections suffer."""
        return Limit(self.values["after_bytes"], resets=False)


class MuteHeartbeat(StrainingFault):
    """Takes the forwarder's heartbeats away, and nothing else.

    Attributes:
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the heartbeats that it hits.

    A correct viewer is never silently idle: it closes with 4012 when nothing came for two
    heartbeats, or with 4010 when the next message shows that one is missing, and resumes.

    """

    type = "mute_heartbeat"
    attributes = (FOR_MS,)

    def strain(self) -> Strain:
        """What the connections suffer."""
        return FrameStrain("mute_heartbeat", self.toxicity)


class ReorderFrame(StrainingFault):
    """Sends a whole WebSocket message of the forwarder's after the one that follows it.

    ``toxicity`` is the share of the messages that it hits.

    A correct viewer sees from ``n`` that the order is broken, closes with 4010 and resumes at
    its cursor: nothing is lost, doubled or out of place.

    """

    type = "reorder_frame"
    toxicity_default = 0.1

    def strain(self) -> Strain:
        """What the connections suffer."""
        return FrameStrain("reorder", self.toxicity)


class ResetPeer(StrainingFault):
    """Ends each connection after some bytes of the server's, with a reset, mid-frame or not.

    Attributes:
        after_bytes: how many bytes of the server's still arrive, counted for each connection
            from its beginning or from when this was switched on.

    ``toxicity`` is the share of the connections that it hits; while it is on, new ones too.

    A correct viewer resumes at its cursor as often as it takes: nothing is lost or doubled,
    half a frame is nothing.

    """

    type = "reset_peer"
    attributes = (Attribute("after_bytes", 100_000, 1 << 30, "bytes that still arrive"),)

    def strain(self) -> Strain:
        """What the connections suffer."""
        return Limit(self.values["after_bytes"], resets=True)


class StallReader(StrainingFault):
    """Stops reading from the forwarder, as a viewer does that is stopped or hangs.

    Attributes:
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the viewers that it hits. What they send still arrives.

    A correct forwarder's memory stays bounded, the other viewers' latency is unaffected, and the
    stalled one is let go of (4008, or aborted) if it stays stuck. It resumes exactly.

    """

    type = "stall_reader"
    attributes = (FOR_MS,)

    def strain(self) -> Strain:
        """What the connections suffer."""
        return Hold(both_ways=False)


class Storm(Fault):
    """Lets a crowd of real WebSocket clients connect at once, which come back without a pause.

    Attributes:
        clients: how many.
        every_ms: all of them let go and come back at once that often; 0 = only when cut off.
        for_ms: how long they stay; 0 = until healed.

    ``toxicity`` is the share of them that comes. They watch the last ten minutes, read all that
    they get, and answer nothing; unlike a proper viewer they wait for nothing before they
    reconnect.

    A correct forwarder serves them from its journal, with few scans of CloudWatch however many
    they are; other viewers go on, and what it can't take it refuses.

    """

    type = "storm"
    attributes = (
        Attribute("clients", 50, 1_000, "viewers that come at once", minimum=1),
        Attribute("every_ms", 0, DAY_MS, "all reconnect after, 0 = only when cut off"),
        Attribute("for_ms", 0, DAY_MS, "how long they stay, 0 = until healed"),
    )

    def cycle(self) -> Cycle:
        """On for ``for_ms``; anew every ``every_ms``."""
        return Cycle(on_ms=self.values["for_ms"] or None, every_ms=self.values["every_ms"])

    def start(self, levers: Levers, turn: int) -> None:
        """Come, all at once."""
        del turn
        levers.cable.gather(self.name, round(self.values["clients"] * self.toxicity))

    def stop(self, levers: Levers) -> None:
        """Go."""
        levers.cable.disperse(self.name)
