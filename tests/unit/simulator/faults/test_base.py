from __future__ import annotations

from pathlib import Path

import pytest

from simulator.errors import SimulatorError
from simulator.faults.base import Cycle, Fault, FaultType, Phase
from simulator.faults.board import FAULTS

PAGE = Path("simulator/faults/FAULTS.md").read_text("utf-8")


def test_until_healed() -> None:
    cycle = Cycle()
    assert cycle.phase(0) == cycle.phase(10**9) == Phase(0, is_on=True, change_in_ms=None)


def test_once() -> None:
    cycle = Cycle(on_ms=100)
    assert cycle.phase(0) == Phase(0, is_on=True, change_in_ms=100)
    assert cycle.phase(99) == Phase(0, is_on=True, change_in_ms=1)
    assert cycle.phase(100) is None


def test_again_and_again() -> None:
    cycle = Cycle(on_ms=100, every_ms=300)
    assert cycle.phase(100) == Phase(0, is_on=False, change_in_ms=200)
    assert cycle.phase(300) == Phase(1, is_on=True, change_in_ms=100)
    assert cycle.phase(950) == Phase(3, is_on=True, change_in_ms=50)


def test_instants() -> None:
    assert Cycle(on_ms=0).phase(0) is None
    assert Cycle(on_ms=0, every_ms=50).phase(60) == Phase(1, is_on=False, change_in_ms=40)
    assert Cycle(every_ms=50).phase(60) == Phase(1, is_on=True, change_in_ms=40)


@pytest.mark.parametrize("kind", FAULTS.values())
def test_every_fault_says_what_it_is(kind: FaultType) -> None:
    assert FAULTS[kind.type] is kind
    assert kind.meaning.endswith(".")
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{kind.type}` |")]
    *_, share_of, correct = row.removesuffix(" |").split(" | ")
    assert correct.endswith(".")
    assert share_of
    for attribute in kind.attributes:
        assert attribute.meaning
        assert attribute.minimum <= attribute.default <= attribute.maximum
    assert Fault(kind, kind.type, {}, 1.0, 1).values == {
        one.name: one.default for one in kind.attributes
    }


@pytest.mark.parametrize("kind", FAULTS.values())
def test_unknown_attributes_are_refused_with_those_there_are(kind: FaultType) -> None:
    with pytest.raises(SimulatorError, match=f"{kind.type} has no attribute 'speed'; it has: "):
        Fault(kind, "x", {"speed": 1}, 1.0, 1)


@pytest.mark.parametrize("value", [-1, 10**12])
@pytest.mark.parametrize("kind", [one for one in FAULTS.values() if one.attributes])
def test_values_out_of_range_are_refused(kind: FaultType, value: int) -> None:
    name = kind.attributes[0].name
    with pytest.raises(SimulatorError, match=f"{name} must be a whole number from"):
        Fault(kind, "x", {name: value}, 1.0, 1)
