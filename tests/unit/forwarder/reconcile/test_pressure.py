from __future__ import annotations

from forwarder.reconcile.pressure import EASE_MS, LEVEL_MAX, RAISE_MS, Pressure


def test_without_throttling_nothing_gives_way() -> None:
    pressure = Pressure()
    assert [pressure.level(10**9), pressure.stretch_scans(10**9), pressure.stretch_polls(0)] == [
        0,
        1,
        1,
    ]


def test_each_trouble_raises_it_by_one_up_to_its_bound() -> None:
    pressure = Pressure()
    pressure.throttled(0)
    pressure.throttled(RAISE_MS - 1)
    assert (pressure.level(RAISE_MS - 1), pressure.stretch_scans(RAISE_MS - 1)) == (1, 2)
    for number in range(1, 20):
        pressure.throttled(number * RAISE_MS)
    now = 20 * RAISE_MS
    assert pressure.level(now) == LEVEL_MAX
    assert (pressure.stretch_scans(now), pressure.stretch_polls(now)) == (16, 2)
    assert pressure.stretch_nearest(now) == 2


def test_it_falls_by_one_at_a_time_while_there_is_none() -> None:
    pressure = Pressure()
    for number in range(3):
        pressure.throttled(number * RAISE_MS)
    last = 2 * RAISE_MS
    levels = [pressure.level(last + number * EASE_MS) for number in range(5)]
    assert levels == [3, 2, 1, 0, 0]
    pressure.throttled(last + 2 * EASE_MS)
    assert pressure.level(last + 2 * EASE_MS) == 2
