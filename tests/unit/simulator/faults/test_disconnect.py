from __future__ import annotations

import pytest

from simulator.errors import SimulatorError
from simulator.faults.base import Cycle
from simulator.faults.disconnect import Disconnect
from tests.support.levers import Remembered


def test_it_pulls_and_plugs() -> None:
    levers, fault = Remembered(), Disconnect("mine", {}, 1.0, 1)
    fault.start(levers.levers(), 0)
    fault.stop(levers.levers())
    assert levers.calls == [("pull", "mine"), ("plug", "mine")]


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
    assert Disconnect("x", given, 1.0, 1).cycle() == cycle


@pytest.mark.parametrize("given", [{"every_ms": 10}, {"down_ms": 10, "every_ms": 10}])
def test_it_can_t_be_pulled_again_before_it_was_plugged(given: dict[str, int]) -> None:
    with pytest.raises(SimulatorError, match="every_ms=10 needs a down_ms"):
        Disconnect("x", given, 1.0, 1)
