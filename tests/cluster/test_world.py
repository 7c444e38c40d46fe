"""Nothing is lost, doubled, forked or falsely resumed; without any one rule, something is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from forwarder.cluster import entries
from forwarder.cluster.entries import Change
from forwarder.cluster.log import Unavailable
from forwarder.cluster.replicated import ReplicatedJournal
from forwarder.errors import JournalError
from tests.cluster.runs import run_seed
from tests.cluster.world import BrokenPromiseError, Rules

SEEDS = 240
SEEDS_UNTIL_NOTICED = 400
FIRST_SEEDS = {"epoch": 1_400}
"""Where to begin for a rule that few seeds need, so that it takes seconds to miss it."""


class NoEpoch(ReplicatedJournal):
    """Continues under its predecessor's epoch."""

    def begin_epoch(self) -> str:
        return self.epoch


class AppliesFirst(ReplicatedJournal):
    """Applies a change to its view before the log has it."""

    def _write(
        self,
        change: Change,
        messages: Sequence[bytes] | None = None,
        apply: Callable[[], int] | None = None,
    ) -> int:
        self._check()
        view, position = self._view, self._view.position
        index = entries.encode(view.head.digest, change)
        with view.advancing(index, change):
            done = view.perform(change, messages) if apply is None else apply()
        try:
            bodies = None if messages is None else entries.encode_bodies(messages)
            self._log.append(self._lease, position, index, bodies)
        except Unavailable:
            raise
        except JournalError as error:
            self.failure = error
            raise
        return done


def _without(name: str) -> Rules:
    rules = Rules()
    match name:
        case "position check":
            rules.checks_position = False
        case "append before apply":
            rules.takes_over = AppliesFirst.take_over
        case "catching up before welcome":
            rules.catches_up_first = False
        case "position of the status":
            rules.checks_status = False
        case "lease and position of a trim":
            rules.checks_trims = False
        case "newest entry first":
            rules.trims_newest_first = False
        case "only former chains":
            rules.trims_former_chains_only = False
        case "epoch":
            rules.takes_over = NoEpoch.take_over
    return rules


@pytest.mark.parametrize("part", range(8))
def test_nothing_is_lost_doubled_forked_or_falsely_resumed(part: int) -> None:
    for seed in range(part, SEEDS, 8):
        run_seed(seed)


@pytest.mark.parametrize(
    "rule",
    [
        "position check",
        "append before apply",
        "catching up before welcome",
        "position of the status",
        "epoch",
        "lease and position of a trim",
        "newest entry first",
        "only former chains",
    ],
)
def test_a_missing_rule_is_noticed(rule: str) -> None:
    first = FIRST_SEEDS.get(rule, 0)
    for seed in range(first, first + SEEDS_UNTIL_NOTICED):
        try:
            run_seed(seed, _without(rule))
        except (BrokenPromiseError, JournalError):
            return
    pytest.fail(f"nobody misses the rule: {rule}")
