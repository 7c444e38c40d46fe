"""The faults of a soak, round by round, drawn from a seed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

import msgspec

from simulator.faults.workload import HUGE_BYTES_MAX
from simulator.scenarios.base import Inject, Step, heal
from simulator.scenarios.chaos import DOSES, HEALED_BY_STEP, LASTS_MS, draw_fault

ROUND_MS: Final = 60_000
BEGIN_MS: Final = 42_000
"""Faults begin before this, so that the round has an end without faults."""
HEAL_MS: Final = 54_000

ALWAYS: Final = ("disconnect", "throttle", "late_events", "hostile_lines", "terminal_escapes")
"""Faults of every round."""

KILLS: Final = frozenset(
    {"forwarder_crash", "journal_lost", "journal_rolled_back", "disk_full", "viewer_crash"}
)
"""Faults that end the forwarder or a viewer; a trend of memory needs rounds without them."""

TAKES: Final = frozenset({"group_recreated", "retention_expire", "altered_text"})
"""Faults that take events or texts away from CloudWatch, which ``tests.chaos`` and the scenarios
have. No ledger knows what a filtered output must print then. And where a journal is lost, or
CloudWatch can't be read, a text may be altered when it is read for the first time: once healed it
differs, is declared, and is never verified. That is right, but a soak must end green."""

OTHERS: Final = (5, 9)
"""Fewest and most further faults of a round."""

_LONGEST_EVERY: Final = 8
_LONG_BYTES: Final = 20_000


def draw_round(seed: int, number: int, *, kills: bool) -> Sequence[Step]:
    """The steps of a round, by time, from the round's start.

    Every eighth round writes lines as long as CloudWatch takes, from the first on: in each, they
    would be all that the soak measures.
    """
    rng = Random(f"soak/{seed}/{number}")
    others = sorted(DOSES.keys() - set(ALWAYS) - TAKES - KILLS)
    kinds = [*ALWAYS, *rng.sample(others, rng.randint(*OTHERS))]
    if kills:
        kinds += ["forwarder_crash", *rng.sample(sorted(KILLS - {"forwarder_crash"}), 2)]
    steps = [heal(HEAL_MS)]
    for kind in kinds:
        at_ms = rng.randrange(BEGIN_MS)
        step = draw_fault(rng, kind, at_ms)
        steps.append(_sized(step, number) if kind == "hostile_lines" else step)
        if kind in HEALED_BY_STEP:
            steps.append(heal(at_ms + rng.randint(*LASTS_MS), kind))
    return sorted(steps, key=lambda step: step.at_ms)


def _sized(step: Step, number: int) -> Step:
    assert isinstance(step.action, Inject)
    size = _LONG_BYTES if number % _LONGEST_EVERY else HUGE_BYTES_MAX
    fault = msgspec.structs.replace(
        step.action.fault, toxicity=1.0, attributes={"rounds": 1, "bytes": size}
    )
    return step._replace(action=Inject(fault))
