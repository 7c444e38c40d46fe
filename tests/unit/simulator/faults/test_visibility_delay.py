from __future__ import annotations

import pytest

from simulator.errors import SimulatorError
from simulator.faults.base import Cycle
from simulator.faults.visibility_delay import VisibilityDelay
from tests.support.levers import Remembered


def test_it_delays_and_shows() -> None:
    levers = Remembered()
    fault = VisibilityDelay("mine", {"delay_ms": 700, "jitter_ms": 20}, 0.5, 1)
    fault.start(levers.levers(), 0)
    fault.stop(levers.levers())
    assert levers.calls == [
        ("engage", "mine", "visibility_delay", "delay_ms=700 jitter_ms=20", "0.5", "1"),
        ("release", "mine"),
    ]
    assert fault.cycle() == Cycle()


def test_no_event_is_seen_before_it_was_accepted() -> None:
    with pytest.raises(SimulatorError, match="jitter_ms must be at most delay_ms, which is 5"):
        VisibilityDelay("x", {"delay_ms": 5, "jitter_ms": 6}, 1.0, 1)
