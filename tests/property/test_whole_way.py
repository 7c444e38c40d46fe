"""Hypothesis drives the whole system: CloudWatch, ingest, schedule, session, network, viewer.

The world is that of ``tests/simulation``, but Hypothesis draws every step and shrinks failures to
the fewest steps, printed with their reproduction. After each step no event may be duplicated,
altered or falsely verified, no resume wrong, and no ``seq`` skipped; at the end everything is
healed, and no event may be lost. 1,000 examples in all.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.simulation import ablations as off
from tests.simulation.judge import FaultError
from tests.simulation.plan import STREAMS, Plan, small_world
from tests.simulation.world import HEAL_MS, World

EXAMPLES = 1_000
PARTS = 4
"""Number of tests that share the examples, one per worker."""
TO_FAIL = 500
"""Examples among which one has to fail if a rule is switched off."""
STEPS = 25

seeds = st.integers(0, 2**32)
streams = st.sampled_from(STREAMS)
soon_ms = st.sampled_from([0, 1, 5, 40, 150, 400, 1_500, 4_000])


class WholeWay(RuleBasedStateMachine):
    """One run; Hypothesis chooses what happens."""

    part = 0

    @initialize(seed=seeds, filters=st.booleans())
    def begin(self, seed: int, filters: bool) -> None:  # noqa: FBT001 - Hypothesis draws it
        self.stack = ExitStack()
        plan = Plan.of(seed * PARTS + self.part, ("blocked",) if filters else ())
        self.stack.enter_context(small_world(plan))
        self.world = World(plan)
        self.written = 0

    # CloudWatch

    @rule(stream=streams, count=st.integers(1, 6), age_ms=soon_ms, delay_ms=soon_ms)
    def put(self, stream: str, count: int, age_ms: int, delay_ms: int) -> None:
        """Events of one millisecond, visible some time after they were accepted."""
        for _ in range(count):
            self._put(stream, self.world.now - age_ms, delay_ms)

    @rule(stream=streams, age_ms=st.integers(1_500, 35_000))
    def put_late(self, stream: str, age_ms: int) -> None:
        self._put(stream, self.world.now - age_ms, 0)

    @rule(stream=streams, ahead_ms=st.integers(1, 20_000))
    def put_ahead_of_the_clock(self, stream: str, ahead_ms: int) -> None:
        self._put(stream, self.world.now + ahead_ms, 0)

    @rule(stream=streams)
    def put_last_words(self, stream: str) -> None:
        self._put(stream, self.world.now, 700, " DONE ok")

    @rule(stream=streams, age_ms=soon_ms, width_ms=st.sampled_from([0, 500, 20_000]))
    def hide(self, stream: str, age_ms: int, width_ms: int) -> None:
        """Events that were there are not returned for a while."""
        middle, now = self.world.now - age_ms, self.world.now
        for one in self.world.cloudwatch.stored:
            if one.event.stream == stream and abs(one.event.timestamp - middle) <= width_ms:
                one.hidden.append((now, now + 6_000))

    @rule()
    def reveal(self) -> None:
        """Whatever is hidden, or not visible yet, can be seen from now on."""
        now = self.world.now
        for one in self.world.cloudwatch.stored:
            one.visible_at = min(one.visible_at, now)
            one.hidden = [(begin, min(end, now - 1)) for begin, end in one.hidden if begin < now]

    # Between the parts

    @rule(drop=st.sampled_from([0.0, 0.3]), double=st.sampled_from([0.0, 0.5]))
    def frames_are_dropped_or_doubled(self, drop: float, double: float) -> None:
        self.world.toxics.drop, self.world.toxics.duplicate = drop, double

    @rule(share=st.sampled_from([0.0, 0.6]))
    def frames_change_places(self, share: float) -> None:
        self.world.toxics.reorder = share

    @rule()
    def disconnect(self) -> None:
        self.world.saboteur._cut()

    @rule()
    def a_connection_is_half_open(self) -> None:
        self.world.saboteur._half_open()

    @precondition(lambda self: "blocked" in self.world.plan.troubles)
    @rule()
    def no_upgrade_passes(self) -> None:
        self.world.saboteur._blocked()

    # The parts

    @rule(pages=st.integers(1, 30), pass_ms=soon_ms)
    def scan(self, pages: int, pass_ms: int) -> None:
        """Time passes, and what is due is scanned, or a part of it."""
        self.world.now += pass_ms
        for _ in range(pages):
            self.world._forward()

    @rule()
    def a_scan_fails(self) -> None:
        self.world.saboteur._break_off()

    @rule(turns=st.integers(1, 12), pass_ms=soon_ms)
    def everybody_works(self, turns: int, pass_ms: int) -> None:
        for _ in range(turns):
            self.world.now += pass_ms // turns
            self.world._forward()
            for viewer in self.world.viewers:
                self.world._view(viewer)

    @rule()
    def the_forwarder_crashes(self) -> None:
        self.world.saboteur._kill()

    @rule()
    def the_journal_is_copied_or_put_back(self) -> None:
        self.world.saboteur._rollback()

    @rule()
    def a_viewer_saves_or_crashes(self) -> None:
        self.world.saboteur._viewer_crash()

    # What must hold

    @invariant()
    def nobody_is_falsely_green(self) -> None:
        if hasattr(self, "world"):
            self.world.judge.look()

    @invariant()
    def no_seq_is_left_out(self) -> None:
        if hasattr(self, "world"):
            journal = self.world.journal
            found = [row.seq for row in journal.read_after(0, journal.head_seq)]
            assert found == list(range(1, journal.head_seq + 1))

    def teardown(self) -> None:
        """Everything heals, and within a bound everybody has everything, and says so."""
        if not hasattr(self, "world"):
            return
        world = self.world
        with self.stack:
            world.heal()
            healed_at = world.now
            while not world.judge.is_at_rest(healed_at):
                if world.now - healed_at > HEAL_MS:
                    raise world.judge.why_not_at_rest(healed_at)
                world.step()
            world.judge.finally_()

    def _put(self, stream: str, at_ms: int, delay_ms: int, words: str = "") -> None:
        self.written += 1
        text = f"drawn {self.written}{words}"
        self.world.cloudwatch.put(stream, at_ms, text, self.world.now, delay_ms)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.timeout(600)
def test_the_whole_way(part: int) -> None:
    class Part(WholeWay):
        pass

    Part.part = part
    # Hypothesis seeds itself by the test's name: each part draws examples of its own.
    Part.__qualname__ = Part.__name__ = f"WholeWay{part}"
    run_state_machine_as_test(
        Part,
        settings=settings(
            max_examples=EXAMPLES // PARTS,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


@pytest.mark.parametrize("switch_off", [off.marks_do_not_wait, off.skipped_events_say_nothing])
def test_it_can_fail(switch_off: Callable[[], list[Any]]) -> None:
    """With a rule of the protocol switched off, Hypothesis finds what the rule prevents."""
    with ExitStack() as stack:
        for patch in switch_off():
            stack.enter_context(patch)
        with pytest.raises(FaultError):
            run_state_machine_as_test(
                WholeWay,
                settings=settings(
                    max_examples=TO_FAIL,
                    stateful_step_count=STEPS,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                    phases=[Phase.generate],
                    print_blob=False,
                ),
            )
