from __future__ import annotations

from typing import Any

import pytest

from simulator.cloudwatch import Mode
from simulator.errors import SimulatorError
from simulator.faults.base import EngageLever, Fault, Harm, SetClock
from simulator.faults.board import FAULTS
from simulator.levers import Levers, StandIn, Targets
from simulator.network.cable import listen
from simulator.oracle.ledger import Ledger


def levers(url: str, mode: Mode) -> Levers:
    """Levers whose other objects are not used."""
    unused: Any = None
    targets = Targets(
        cable=unused,
        crowds=unused,
        stand_in=StandIn(url, mode),
        forwarder=unused,
        viewers=unused,
        clock=None,
        writer=unused,
        ledger=Ledger(),
    )
    return Levers(targets, unused)


def delay() -> Harm:
    harm = Fault(FAULTS["visibility_delay"], "a", {}, 1.0, 1).harm(0)
    assert isinstance(harm, EngageLever)
    return harm


def test_unpatched_moto_has_no_levers() -> None:
    one = levers("http://127.0.0.1:1", "moto")
    with pytest.raises(SimulatorError, match="--cloudwatch faithful"):
        one.begin("a", delay())
    one.end("a", delay(), "healed")


def test_a_stand_in_that_does_not_answer_is_reported() -> None:
    with listen(0) as listener:
        port = listener.getsockname()[1]
    one = levers(f"http://127.0.0.1:{port}", "faithful")
    with pytest.raises(SimulatorError, match="did not answer"):
        one.begin("a", delay())
    with pytest.raises(SimulatorError, match="did not answer"):
        one.end("a", delay(), "healed")


def test_without_a_clock_setting_it_is_refused_and_undoing_is_not() -> None:
    one = levers("http://127.0.0.1:1", "faithful")
    with pytest.raises(SimulatorError, match="clock can't be set here"):
        one.begin("a", SetClock(5))
    one.end("a", SetClock(5), "healed")
