"""A small campaign: real processes, a real database with a standby, and each kind of fault once."""

from __future__ import annotations

import pytest

from tests.cluster.campaign import Found, Plan, run

pytestmark = pytest.mark.timeout(600)


async def test_nothing_is_lost_and_every_viewer_resumes() -> None:
    plan = Plan(kills=2, pauses=1, engine_kills=1, promotions=1, viewers=4, seed=5)
    found: Found = await run(plan)
    assert found.is_clean, found.lines()
    assert found.accepted > 0
    # An owner that dies at the end of its takeover counts as well.
    assert found.points.total() >= plan.kills + plan.pauses
    assert found.outcomes["resumed"] >= plan.viewers
    assert len(found.resumptions) == 2 * plan.viewers


async def test_a_database_may_be_away_for_long_or_restored_from_a_backup() -> None:
    nothing = Plan(kills=0, pauses=0, engine_kills=0, promotions=0)
    # Beyond the lease.
    found = await run(nothing._replace(outages=1, away_s=14, set_backs=1, viewers=3))
    assert found.is_clean, found.lines()
    assert found.outcomes["rebased"] == 3, "each viewer starts over once, and says so"
    assert found.outcomes["resumed"] > 0
