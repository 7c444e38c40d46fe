"""What each fault of the network does to the cable, and when it stops."""

from __future__ import annotations

import pytest

from simulator.errors import SimulatorError
from simulator.faults.base import Cycle, Fault
from simulator.faults.board import FAULTS
from simulator.faults.network import NETWORK
from tests.support.simulator.harm_recorder import HarmRecorder

STRAINS = {
    "latency": "Latency(latency_ms=1000, jitter_ms=0)",
    "bandwidth": "Bandwidth(rate_kbps=500)",
    "reset_peer": "Limit(after_bytes=100000, resets=True)",
    "limit_data": "Limit(after_bytes=100000, resets=False)",
    "blackhole": "Hold(both_ways=True)",
    "stall_reader": "Hold(both_ways=False)",
    "block_upgrade": "BlockUpgrade()",
}
FRAMES = {
    "drop_frame": "drop",
    "duplicate_frame": "duplicate",
    "reorder_frame": "reorder",
    "mute_heartbeat": "mute_heartbeat",
}


def make(kind: str, toxicity: float = 0.25, **given: int) -> Fault:
    return Fault(FAULTS[kind], "mine", given, toxicity, 9)


def done(fault: Fault) -> list[tuple[str, ...]]:
    """What it does in one turn."""
    levers = HarmRecorder()
    levers.turn(fault)
    return levers.calls


@pytest.mark.parametrize(("kind", "strain"), STRAINS.items())
def test_connections_are_put_under_a_strain(kind: str, strain: str) -> None:
    assert done(make(kind)) == [("strain", "mine", strain, "0.25"), ("ease", "mine")]


@pytest.mark.parametrize(("kind", "what"), FRAMES.items())
def test_of_messages_the_share_is_hit(kind: str, what: str) -> None:
    strain = f"FrameStrain(what='{what}', share=0.25)"
    assert done(make(kind)) == [("strain", "mine", strain, "1"), ("ease", "mine")]


def test_every_one_is_known() -> None:
    assert {one.type for one in NETWORK} == {*STRAINS, *FRAMES, "close", "storm", "disconnect"}


@pytest.mark.parametrize("kind", ["drop_frame", "duplicate_frame", "reorder_frame"])
def test_by_default_a_few_messages_are_hit(kind: str) -> None:
    assert FAULTS[kind].toxicity == 0.1


@pytest.mark.parametrize("kind", ["blackhole", "stall_reader", "block_upgrade", "mute_heartbeat"])
def test_they_last_for_ms(kind: str) -> None:
    assert make(kind).cycle() == Cycle()
    assert make(kind, for_ms=700).cycle() == Cycle(on_ms=700)


def test_a_close_is_an_instant() -> None:
    fault = make("close", code=4500, every_ms=50)
    assert fault.cycle() == Cycle(on_ms=0, every_ms=50)
    assert done(fault) == [("close", "4500", "0.25")]
    with pytest.raises(SimulatorError, match="1006 is never sent"):
        make("close", code=1006)


def test_a_storm_comes_and_goes() -> None:
    assert done(make("storm", clients=100)) == [("gather", "mine", "25"), ("disperse", "mine")]
    assert make("storm", every_ms=9, for_ms=5).cycle() == Cycle(on_ms=5, every_ms=9)


def test_it_pulls_and_plugs() -> None:
    assert done(make("disconnect")) == [("pull", "mine"), ("plug", "mine")]


@pytest.mark.parametrize(
    ("given", "cycle"),
    [
        ({}, Cycle()),
        ({"down_ms": 0}, Cycle()),
        ({"down_ms": 3_000}, Cycle(on_ms=3_000)),
        ({"down_ms": 3_000, "every_ms": 10_000}, Cycle(on_ms=3_000, every_ms=10_000)),
    ],
)
def test_how_long_and_how_often(given: dict[str, int], cycle: Cycle) -> None:
    assert make("disconnect", **given).cycle() == cycle


@pytest.mark.parametrize("given", [{"every_ms": 10}, {"down_ms": 10, "every_ms": 10}])
def test_it_can_t_be_pulled_again_before_it_was_plugged(given: dict[str, int]) -> None:
    with pytest.raises(SimulatorError, match="every_ms=10 needs a down_ms"):
        make("disconnect", **given)
