"""Permanent throttling: late events are still found soon, and marks stay correct."""

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
"""Steps of a run, over a minute; the highest throttling level is reached after a third."""
EVERY_MS = 2_000
SPAN_MS = 60_000
"""Span of the nearest tier, in the product's proportions."""
LATE_MS = (2_500, 25_000)
"""Age, when an event becomes visible, of events that count as late."""
SOON_MS = 6 * EVERY_MS
"""Bound: two pauses, and a scan with half of its calls refused."""


def longest_wait(seed: int) -> tuple[int, int]:
    """Longest time that a visible late event stayed undiscovered, and the number of late events."""
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


def test_late_events_are_found_soon_under_permanent_throttling() -> None:
    found = [longest_wait(seed) for seed in range(RUNS)]
    assert sum(count for _, count in found) > 10 * RUNS
    assert max(wait_ms for wait_ms, _ in found) <= SOON_MS


def test_late_events_would_be_slow_if_the_nearest_tier_backed_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pressure, "NEAREST_STRETCH_MAX", 1 << LEVEL_MAX)
    assert max(longest_wait(seed)[0] for seed in range(3)) > SOON_MS
