"""``latency``: everything takes longer on the way between viewer and forwarder."""

from __future__ import annotations

from simulator.faults.base import DAY_MS, Attribute
from simulator.faults.network import StrainingFault
from simulator.network.toxics import Latency, Strain


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
