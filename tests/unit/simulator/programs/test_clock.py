from __future__ import annotations

from pathlib import Path

from simulator.programs.clock import SkewedClock


def test_the_clock_error_is_the_sum_over_all_owners(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    clock = SkewedClock(path)

    def told() -> int:
        data = path.read_bytes()
        assert len(data) == 8
        return int.from_bytes(data, "little", signed=True)

    assert told() == clock.offset_ms == 0
    clock.set("a", -90_000)
    assert told() == -90_000
    clock.set("b", 100_000)
    assert told() == 10_000
    clock.set("a", 5)
    assert told() == 100_005
    clock.set("b", 0)
    clock.set("nobody", 0)
    assert told() == 5
    clock.set("a", 0)
    assert told() == 0
