from __future__ import annotations

from pathlib import Path

from simulator.clock import SkewedClock


def test_it_is_wrong_by_what_all_owners_did_to_it(tmp_path: Path) -> None:
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
    clock.right("b")
    clock.right("nobody")
    assert told() == 5
    clock.right("a")
    assert told() == 0
