"""Viewers ask for older history at any moment, also while connections break and parts crash.

The world and its judge are those of ``test_whole_way``: no event may be lost, duplicated or falsely
verified, whatever is asked for and when.
"""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from forwarder.delivery.session import Session
from tests.property.test_whole_way import WholeWay
from tests.simulation.judge import FaultError

EXAMPLES = 500
STEPS = 25


class OlderLines(WholeWay):
    """One run; Hypothesis also chooses when which viewer asks for how much."""

    @rule(
        viewer=st.integers(0, 5),
        back_ms=st.sampled_from([0, 1, 700, 9_000, 40_000]),
        to_beginning=st.booleans(),
    )
    def ask_for_older_lines(self, viewer: int, back_ms: int, to_beginning: bool) -> None:  # noqa: FBT001 - Hypothesis draws it
        one = self.world.viewers[viewer % len(self.world.viewers)]
        requested = one.session.requested_since
        if requested is None or one.history == "oldest":  # only screens ask, newest lines first
            return
        one.apply(one.session.extend(0 if to_beginning else max(0, requested - back_ms)))
        one.since = one.session.requested_since


def run(phases: tuple[Phase, ...]) -> None:
    run_state_machine_as_test(
        OlderLines,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=list(phases),
            print_blob=len(phases) > 1,
        ),
    )


@pytest.mark.timeout(600)
def test_older_history_is_complete_and_verified_whatever_happens() -> None:
    run(tuple(Phase))


def _marks_at_once(self: Session, from_: int, through: int) -> bool:
    """Mark a range before its history is sent."""
    return max(from_, self.since) <= through


@pytest.mark.timeout(600)
def test_it_can_fail() -> None:
    """Without a rule of the protocol, Hypothesis finds what the rule prevents."""
    broken = patch.object(Session, "_may_mark", _marks_at_once)
    with broken, pytest.raises((FaultError, AssertionError)):
        run((Phase.generate,))
