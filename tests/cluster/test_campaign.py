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
