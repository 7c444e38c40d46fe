"""Throttled without end: late news is found all the same, soon, and every mark stays true."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import pytest

from forwarder.reconcile import schedule
from forwarder.reconcile import schedule as pressure
from forwarder.reconcile.schedule import LEVEL_MAX
from tests.simulation.plan import Plan, small_world
from tests.simulation.world import World

RUNS = 12
STEPS = 700
"""Over a minute: the highest level is reached after a third of it."""
EVERY_MS = 2_000
SPAN_MS = 60_000
"""The nearest tier's, at the proportions of life."""
LATE_MS = (2_500, 25_000)
"""How old an event may be when it first can be seen, to be news that is late."""
SOON_MS = 6 * EVERY_MS
"""Two pauses, and the scan itself, half of whose calls are refused."""


def longest_wait(seed: int) -> tuple[int, int]:
    """How long a late event that could be seen was not found, at most, and how many there were."""
    plan = replace(Plan.of(seed, ("late",)), page_events=50)
    waits: dict[str, int] = {}
    with (
        small_world(plan),
        patch.object(schedule, "RECENT_EVERY_MS", EVERY_MS),
        patch.object(schedule, "RECENT_SPAN_MS", SPAN_MS),
        patch.object(schedule, "NEAR_EVERY_MS", 30 * EVERY_MS),
        patch.object(schedule, "NEAR_SPAN_MS", 2 * SPAN_MS),
    ):
        world = World(plan)
        world.throttled_until = world.now + 10**9
        begun = world.now
        for _ in range(STEPS):
            world.step()
            ledger = [
                one
                for one in world.cloudwatch.ledger
                if one.put_at > begun
                and one.is_visible(world.now)
                and LATE_MS[0] <= one.visible_at - one.event.timestamp <= LATE_MS[1]
            ]
            found = world.journal.find([one.event.id for one in ledger])
            for one in ledger:
                if one.event.id not in found:
                    waits[one.event.id] = world.now - one.visible_at
                else:
                    waits.setdefault(one.event.id, 0)
        assert world.forwarder is not None
        assert world.forwarder.schedule._throttling.level(world.now) == LEVEL_MAX
        assert world.judge.marks > 10
        world.throttled_until = world.now + 10**9
        world.run()
    return max(waits.values()), len(waits)


def test_late_news_is_found_soon_however_long_cloudwatch_throttles() -> None:
    found = [longest_wait(seed) for seed in range(RUNS)]
    assert sum(count for _, count in found) > 10 * RUNS
    assert max(wait_ms for wait_ms, _ in found) <= SOON_MS


def test_it_would_not_be_if_the_nearest_tier_gave_way_like_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pressure, "NEAREST_STRETCH_MAX", 1 << LEVEL_MAX)
    assert max(longest_wait(seed)[0] for seed in range(3)) > SOON_MS
