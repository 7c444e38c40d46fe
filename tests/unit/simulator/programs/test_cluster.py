"""What faults of the database do to it, one at a time, even if a caller stops waiting."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from simulator.errors import SimulatorError
from simulator.programs.cluster import Cluster


class FakeEngine:
    """Notes what is called; what is ``held`` takes until it is let go."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.held: dict[str, threading.Event] = {}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any of its methods
        def act() -> None:
            if name in self.held:
                self.held[name].wait(30)
            self.calls.append(name)

        return act


def make(engine: FakeEngine) -> Cluster:
    cluster = Cluster(
        3,
        lambda *_: [],
        {},
        serve=lambda _: None,
        failed=lambda _: None,
        changed=lambda: None,
    )
    cluster._engine = engine  # type: ignore[assignment]  # ``start`` would start PostgreSQL
    return cluster


async def test_a_copy_is_restored_unless_healed_early() -> None:
    engine = FakeEngine()
    cluster = make(engine)
    await cluster.save_engine("a")
    with pytest.raises(SimulatorError, match="another fault has PostgreSQL already: heal a first"):
        await cluster.crash_engine("b")
    await cluster.set_engine_back("a", is_called_off=False)
    await cluster.set_engine_back("a", is_called_off=False)
    await cluster.save_engine("b")
    await cluster.set_engine_back("b", is_called_off=True)
    assert engine.calls == ["save", "set_back", "save", "discard_copy"]


async def test_a_second_try_waits_for_the_first() -> None:
    engine = FakeEngine()
    engine.held["restart"] = threading.Event()
    cluster = make(engine)
    await cluster.crash_engine("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(cluster.restart_engine("a"), 0.01)
    again = asyncio.create_task(cluster.restart_engine("a"))
    await asyncio.sleep(0)
    assert not again.done()
    engine.held["restart"].set()
    await again
    assert engine.calls == ["kill", "restart"]
