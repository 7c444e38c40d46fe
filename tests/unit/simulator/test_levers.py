from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from simulator.cloudwatch import Mode
from simulator.errors import SimulatorError
from simulator.faults.base import (
    CrashForwarder,
    Ending,
    EngageLever,
    Fault,
    FaultType,
    FillDisk,
    Harm,
    SetClock,
)
from simulator.faults.board import FAULTS
from simulator.faults.cluster import CLUSTER
from simulator.levers import Levers, StandIn, Targets
from simulator.oracle.ledger import Ledger


def levers(url: str, mode: Mode, **given: Any) -> Levers:  # noqa: ANN401 - as needed
    """Levers whose other objects are not used."""
    unused: Any = None
    loop: Any = given.get("loop")
    targets = Targets(
        cable=unused,
        crowds=unused,
        stand_in=StandIn(url, mode),
        forwarder=unused,
        viewers=unused,
        clock=None,
        writer=unused,
        cluster=given.get("cluster"),
        ledger=Ledger(),
    )
    return Levers(targets, loop)


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
    one = levers("http://127.0.0.1:1", "faithful")
    with pytest.raises(SimulatorError, match="did not answer"):
        one.begin("a", delay())
    with pytest.raises(SimulatorError, match="did not answer"):
        one.end("a", delay(), "healed")


def test_without_a_clock_setting_it_is_refused_and_undoing_is_not() -> None:
    one = levers("http://127.0.0.1:1", "faithful")
    with pytest.raises(SimulatorError, match="clock can't be set here"):
        one.begin("a", SetClock(5))
    one.end("a", SetClock(5), "healed")


def refused(one: Levers, harm: Harm) -> str:
    with pytest.raises(SimulatorError) as caught:
        one.begin("a", harm)
    one.end("a", harm, "healed")
    return str(caught.value)


@pytest.mark.parametrize("kind", CLUSTER)
async def test_a_single_forwarder_refuses_what_only_a_cluster_can_suffer(kind: FaultType) -> None:
    one = levers("http://127.0.0.1:1", "faithful", loop=asyncio.get_running_loop())
    harm = Fault(kind, "a", {}, 1.0, 1).harm(0)
    assert harm is not None
    text = await asyncio.to_thread(refused, one, harm)
    assert text == "this simulator has one forwarder: start it with --forwarders 3"


class Recorded:
    """A cluster that notes what is called."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Awaitable[None]]:
        async def note(*given: object, **options: object) -> None:
            self.calls.append(" ".join(map(str, (name, *given, *options.items()))))

        return note


@pytest.mark.parametrize(
    ("kind", "ending", "calls"),
    [
        ("engine_crash", "over", ["crash_engine a", "restart_engine a"]),
        ("engine_failover", "over", ["fail_over a", "replace_standby a"]),
        ("engine_away", "over", ["pause_engine a", "continue_engine a"]),
        (
            "engine_set_back",
            "over",
            ["save_engine a", "set_engine_back a ('is_called_off', False)"],
        ),
        (
            "engine_set_back",
            "healed",
            ["save_engine a", "set_engine_back a ('is_called_off', True)"],
        ),
    ],
)
async def test_the_database_suffers_and_recovers(
    kind: str, ending: Ending, calls: list[str]
) -> None:
    cluster = Recorded()
    one = levers("http://127.0.0.1:1", "faithful", loop=asyncio.get_running_loop(), cluster=cluster)
    harm = Fault(FAULTS[kind], "a", {}, 1.0, 1).harm(0)
    assert harm is not None
    await asyncio.to_thread(one.begin, "a", harm)
    await asyncio.to_thread(one.end, "a", harm, ending)
    assert cluster.calls == calls


@pytest.mark.parametrize("harm", [CrashForwarder(0, "kept"), FillDisk(0)])
async def test_a_cluster_refuses_what_needs_a_single_forwarder(harm: Harm) -> None:
    one = levers(
        "http://127.0.0.1:1", "faithful", loop=asyncio.get_running_loop(), cluster=object()
    )
    assert "use owner_crash or server_crash" in await asyncio.to_thread(refused, one, harm)
